import { printable } from '../format.ts';

/** Text that is HTML or SVG already. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = Markup | string | number | null | false | readonly Value[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for an element or a quoted attribute. What would reorder or hide text is shown as code points. */
export function escapeText(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Coordinates need no more than a hundredth of a pixel. */
const show = (value: number): string => (Number.isFinite(value) ? String(Math.round(value * 100) / 100) : '0');

function render(value: Value): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'number') return show(value);
  if (value === null || value === false) return '';
  return value.map(render).join('');
}

/**
 * HTML or SVG whose interpolated values are escaped, unless they are markup themselves: file contents (names of cases,
 * devices, reasons) never become elements. Attributes have to be quoted.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + render(values[i - 1] ?? null) + part));
}
