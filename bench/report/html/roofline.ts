import { max, median, min, quantile } from 'd3-array';
import { scaleLog } from 'd3-scale';
import { symbol, symbolsFill } from 'd3-shape';
import { fixed, milliseconds } from '../format.ts';
import { html, type Markup } from './markup.ts';
import type { Entry, EntryLimit, Machine } from './model.ts';
import { COLOURS } from './style.ts';

const WIDTH = 960;
const HEIGHT = 540;
const MARGIN = { top: 26, right: 26, bottom: 56, left: 70 };
const MARK_AREA = 84;

interface Placed {
  readonly entry: Entry;
  readonly limit: EntryLimit;
}
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
const overlap = (a: Box, b: Box) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Which colour and symbol stand for which series. Seven symbols and eight colours: 56 pairs before one comes again. */
export class Legend {
  readonly #series: readonly string[];
  constructor(series: Iterable<string>) {
    this.#series = [...new Set(series)];
  }
  get series(): readonly string[] {
    return this.#series;
  }
  colour(series: string): string {
    return `c${this.#series.indexOf(series) % COLOURS.light.length}`;
  }
  symbol(series: string, area = MARK_AREA): string {
    return symbol(symbolsFill[this.#series.indexOf(series) % symbolsFill.length], area)() ?? '';
  }
  /** As a list whose items a script makes switches of: one alone is brought forward. */
  list(present: ReadonlySet<string>): Markup {
    const shown = this.#series.filter((series) => present.has(series));
    return html`<ul class="legend">${shown.map(
      (series) =>
        html`<li><button type="button" class="key" data-series="${series}" aria-pressed="false"><svg class="${this.colour(series)}" width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true"><path class="mark" d="${this.symbol(series)}"/></svg>${series}</button></li>`,
    )}</ul>`;
  }
}

/** Results that move bytes and compute: others, and what launching them binds, have no place under a roof. */
export function underRoof(entries: readonly Entry[]): Placed[] {
  return entries.flatMap((entry) =>
    entry.limit !== null && entry.limit.kind !== 'launch' && entry.limit.intensity > 0 && entry.gflops > 0
      ? [{ entry, limit: entry.limit }]
      : [],
  );
}

/** Attainable rate over arithmetic intensity, both logarithmic: the ceilings that were measured, and a mark per result. */
export function roofline(machine: Machine, entries: readonly Entry[], legend: Legend): Markup {
  const placed = underRoof(entries);
  const bandwidths = placed.flatMap(({ entry }) => entry.bandwidth.samples);
  const [low, roof, high] = [quantile(bandwidths, 0.05)!, median(bandwidths)!, quantile(bandwidths, 0.95)!];
  const peaks = new Map<string, number>();
  for (const { limit } of placed) if (limit.peakGops !== null) peaks.set(limit.peakKind, limit.peakGops);
  const top = max(peaks.values()) ?? max(placed, ({ entry }) => entry.gflops)!;
  const intensities = placed.map(({ limit }) => limit.intensity);
  const x = scaleLog(
    [Math.min(min(intensities)! / 2, 0.5), Math.max(max(intensities)! * 2, (top / low) * 3)],
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const rates = placed.map(({ entry }) => entry.gflops);
  const y = scaleLog(
    [Math.min(min(rates)!, low * x.domain()[0]!) / 1.6, Math.max(max(rates)!, top) * 1.7],
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  );
  const [left, right] = x.domain() as [number, number];
  const [bottom] = y.domain() as [number, number];

  /** A line of constant bandwidth from the left edge (or the bottom) to the highest peak. */
  const slant = (gbps: number) => {
    const from = Math.max(left, bottom / gbps);
    const to = Math.min(right, top / gbps);
    return { from: [x(from), y(gbps * from)] as const, to: [x(to), y(gbps * to)] as const };
  };
  const [inner, middle, outer] = [slant(low), slant(roof), slant(high)];
  const taken: Box[] = [];
  const heights = [...peaks].sort(([, a], [, b]) => b - a);
  const peakLines = heights.map(([kind, gops], i) => {
    const begin = x(Math.max(left, gops / roof));
    const close = i > 0 && Math.abs(y(gops) - y(heights[i - 1]![1])) < 18;
    const [at, text] = [close ? y(gops) + 16 : y(gops) - 7, `${kind} ${fixed(gops, 0)} GOP/s`];
    taken.push({ x: WIDTH - MARGIN.right - 8 * text.length, y: at - 12, width: 8 * text.length, height: 16 });
    return html`<path class="roof" d="M${begin} ${y(gops)}H${WIDTH - MARGIN.right}"/><text class="roof-label" x="${WIDTH - MARGIN.right - 4}" y="${at}" text-anchor="end">${text}</text>`;
  });
  const spots = placed.map(({ entry, limit }) => [x(limit.intensity), y(entry.gflops)] as const);
  const rise = Math.max(0, middle.from[1] - outer.from[1]) + 8;
  const words = `memory ${fixed(roof, 1)} GB/s (${fixed(low, 1)}–${fixed(high, 1)})`;
  const label = slantLabel(words, middle.from, middle.to, rise, spots);
  taken.push(...label.boxes);

  return html`<div class="scroll" tabindex="0" role="region" aria-label="Roofline of ${machine.name}">
<svg class="chart roofline" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="group" aria-label="Roofline of ${machine.name}: ${String(placed.length)} results under ${fixed(roof, 1)} GB/s${heights.map(([kind, gops]) => ` and ${kind} ${fixed(gops, 0)} GOP/s`)}. Arrow keys go from mark to mark.">
${grid(x, y)}
<path class="band" d="M${inner.from[0]} ${inner.from[1]}L${inner.to[0]} ${inner.to[1]}L${outer.to[0]} ${outer.to[1]}L${outer.from[0]} ${outer.from[1]}Z"/>
<path class="roof" d="M${middle.from[0]} ${middle.from[1]}L${middle.to[0]} ${middle.to[1]}"/>
<text class="roof-label" transform="translate(${label.x} ${label.y}) rotate(${label.angle})">${words}</text>
${peakLines}
<g class="marks" data-roving="">${marks(placed, legend, x, y, taken)}</g>
<text class="axis-title" x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">arithmetic intensity, operations per byte</text>
<text class="axis-title" transform="translate(18 ${HEIGHT / 2 - 10}) rotate(-90)" text-anchor="middle">GFLOP/s</text>
</svg></div>`;
}

type Point = readonly [number, number];

/** Where words along the slope hide the fewest marks. */
function slantLabel(words: string, from: Point, to: Point, rise: number, spots: readonly Point[]) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const length = 7.6 * words.length;
  const whole = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const places = [0.08, 0.2, 0.35, 0.5, 0.65].map((share) => {
    const along = Math.max(0, Math.min(share * whole, whole - length));
    const [x, y] = [from[0] + along * dx, from[1] + along * dy - rise];
    const boxes = Array.from({ length: Math.ceil(length / 14) }, (_, i) => {
      return { x: x + 14 * i * dx - 7, y: y + 14 * i * dy - 15, width: 24, height: 22 };
    });
    const hidden = spots.filter(([px, py]) =>
      boxes.some((box) => overlap(box, { x: px - 7, y: py - 7, width: 14, height: 14 })),
    );
    return { x, y, angle: (angle * 180) / Math.PI, boxes, hidden: hidden.length };
  });
  return places.reduce((best, place) => (place.hidden < best.hidden ? place : best));
}

type Scale = ReturnType<typeof scaleLog<number, number>>;

function grid(x: Scale, y: Scale): Markup {
  /** Decades, with twos and fives between where there is room for them. */
  const steps = (scale: Scale) => {
    const [from, to] = scale.domain() as [number, number];
    const digits = Math.log10(to / from) > 3.2 ? [1] : [1, 2, 5];
    return scale.ticks().filter((tick) => digits.includes(Number(tick.toExponential(3).split('e')[0])));
  };
  const plain = (value: number) => (value >= 1e4 ? value.toLocaleString('en') : String(Number(value.toPrecision(3))));
  return html`<g class="grid">${steps(x).map((tick) => html`<path d="M${x(tick)} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}"/>`)}${steps(y).map((tick) => html`<path d="M${MARGIN.left} ${y(tick)}H${WIDTH - MARGIN.right}"/>`)}</g>
<g class="axis">${steps(x).map((tick) => html`<text x="${x(tick)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${plain(tick)}</text>`)}${steps(y).map((tick) => html`<text x="${MARGIN.left - 8}" y="${y(tick) + 4}" text-anchor="end">${plain(tick)}</text>`)}<path d="M${MARGIN.left} ${HEIGHT - MARGIN.bottom}H${WIDTH - MARGIN.right}"/></g>`;
}

/** Marks from left to right, each with its interval, and the way up to its own roof, which shows when it is looked at. */
function marks(placed: readonly Placed[], legend: Legend, x: Scale, y: Scale, taken: Box[]): Markup[] {
  const ordered = [...placed].sort((a, b) => a.limit.intensity - b.limit.intensity || a.entry.gflops - b.entry.gflops);
  for (const { entry, limit } of ordered) {
    taken.push({ x: x(limit.intensity) - 7, y: y(entry.gflops) - 7, width: 14, height: 14 });
  }
  return ordered.map(({ entry, limit }, i) => {
    const [cx, cy] = [x(limit.intensity), y(entry.gflops)];
    const { low, high } = entry.ms.interval;
    const rate = (ms: number) => Math.min(y((entry.gflops * entry.ms.p50) / ms), HEIGHT - MARGIN.bottom);
    const roof = y(entry.gflops / limit.share);
    const text = shortName(entry);
    const spot = text === '' ? null : place(text, cx, cy, taken);
    return html`<a class="point ${legend.colour(entry.series)}" href="#${entry.id}" tabindex="${String(i === 0 ? 0 : -1)}" data-series="${entry.series}" data-name="${entry.case}" aria-label="${describe(entry, limit)}"><path class="stem" d="M${cx} ${cy}V${Math.max(roof, MARGIN.top)}m-5 0h10"/><path class="whisker" d="M${cx} ${rate(high)}V${rate(low)}"/><path class="mark" transform="translate(${cx} ${cy})" d="${legend.symbol(entry.series)}"/>${spot === null ? null : html`<text class="mark-label" x="${spot.x}" y="${spot.y + 10}">${text}</text>`}</a>`;
  });
}

/** Room for a label beside a mark, if there is any. */
function place(text: string, cx: number, cy: number, taken: Box[]): Box | null {
  const width = 6.9 * text.length;
  const height = 13;
  const spots = [
    [cx + 11, cy - 6],
    [cx - 12 - width, cy - 6],
    [cx - width / 2, cy - 22],
    [cx - width / 2, cy + 9],
  ] as const;
  for (const [left, top] of spots) {
    const box = { x: left, y: top, width, height };
    const inside = left > MARGIN.left && left + width < WIDTH - 4 && top > 4 && top < HEIGHT - MARGIN.bottom - height;
    if (!inside || taken.some((other) => overlap(box, other))) continue;
    taken.push(box);
    return box;
  }
  return null;
}

/** What the legend does not say of a case, as long as that is short: `m=8`. */
function shortName({ case: name, suite, series }: Entry): string {
  const format = series.slice(suite.length + 1);
  const words = name.split(' ').filter((word) => word !== format);
  return words.find((word) => /^m=\d+$/.test(word)) ?? (words.join(' ').length <= 18 ? words.join(' ') : '');
}

export function describe(entry: Entry, limit: EntryLimit | null = entry.limit): string {
  const parts = [
    `${entry.suite}: ${entry.case}`,
    `${milliseconds(entry.ms.p50)} ms (${milliseconds(entry.ms.interval.low)}–${milliseconds(entry.ms.interval.high)})`,
  ];
  if (entry.gflops >= 0.5) parts.push(`${fixed(entry.gflops, 0)} GFLOP/s, ${fixed(entry.gbps, 1)} GB/s`);
  if (limit !== null) parts.push(`${fixed(100 * limit.share, 0)}% of the ${limit.kind} limit`);
  if (limit !== null && limit.intensity > 0) parts.push(`${milliseconds(limit.intensity)} operations per byte`);
  if (entry.choice !== null) parts.push(entry.choice.variant);
  return parts.join('; ');
}
