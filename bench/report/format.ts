import { styleText } from 'node:util';
import type { Limit } from '../limits/roofline.ts';
import type { Ratio } from '../stats/bootstrap.ts';

type Style = Parameters<typeof styleText>[0];

/** Colours and weights where standard output is a terminal that wants them, else the text as it is. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Shares of a limit that are good, and that are fair. */
const GOOD = 0.75;
const FAIR = 0.5;

export function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '-';
}

/** Three significant digits, as far as they are after the point: 0.0123, 1.23, 123. */
export function milliseconds(ms: number): string {
  const digits = Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(Math.max(ms, 1e-4)))));
  return fixed(ms, digits);
}

/** A ratio with its interval: `0.83 (0.81..0.85)`. */
export function ratio({ median, low, high }: Ratio): string {
  return `${fixed(median, 2)} (${fixed(low, 2)}..${fixed(high, 2)})`;
}

/** What a comparison came to, in the colour of its weight. */
export function verdict(text: 'same' | 'slower' | 'faster' | 'inconclusive'): string {
  return styled(({ same: 'dim', slower: 'red', faster: 'green', inconclusive: 'yellow' } as const)[text], text);
}

/** The limit that binds, with its height. */
export function bound(limit: Limit | null): string {
  switch (limit?.kind) {
    case undefined:
      return 'host';
    case 'memory':
      return `memory ${fixed(limit.bandwidthGbps, 1)} GB/s`;
    case 'compute':
      return `${limit.peakKind} ${fixed(limit.peakGops ?? Number.NaN, 0)} GOP/s`;
    case 'launch':
      return `launch ${fixed(limit.launchMs * 1000, 1)} us`;
  }
}

/** A share as percent, in green, yellow or red. */
export function share(value: number): string {
  return styled(value >= GOOD ? 'green' : value >= FAIR ? 'yellow' : 'red', `${fixed(100 * value, 0)}%`);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${fixed(value, unit === 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/**
 * Text of a file for a terminal: what would steer it (escape sequences, changes of writing direction) is shown as code
 * points, and what is too long is cut.
 */
export function printable(text: string, most = Number.POSITIVE_INFINITY): string {
  const cut = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
