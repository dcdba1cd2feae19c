import { min } from 'd3-array';
import { fixed, milliseconds } from '../format.ts';
import { html, type Markup } from './markup.ts';
import type { Sweep, SweepPoint, SweepValue } from './sweep-file.ts';

/** Steps of the scale; the number in each cell says the same. */
export const HEAT_STEPS = 6;
/** Times the best from which on a cell has the last step. */
const HEAT_BOUNDS = [1.02, 1.1, 1.25, 1.5, 2] as const;
const CELL = { width: 74, height: 40 };
const LEFT = 86;
const TOP = 44;

interface Parameter {
  readonly name: string;
  readonly values: readonly SweepValue[];
}

/** The number of rows of activations: where only one parameter was varied, it is the other axis. */
const ROWS = 'm';

/** One map per problem: its two widest parameters across, the best over all others in each cell. */
export function heatmaps(sweep: Sweep): Markup[] {
  const grouped = (points: readonly SweepPoint[], nameOf: (point: SweepPoint) => string) => {
    const groups = new Map<string, SweepPoint[]>();
    for (const point of points) groups.set(nameOf(point), [...(groups.get(nameOf(point)) ?? []), point]);
    return [...groups];
  };
  const withoutRows = ({ shape }: SweepPoint) =>
    said(Object.fromEntries(Object.entries(shape).filter(([key]) => key !== ROWS)));
  return grouped(sweep.results, withoutRows).flatMap(([name, points]) => {
    const sizes = new Set(points.map(({ shape }) => shape[ROWS] ?? null));
    const varied = parametersOf(points).filter(({ values }) => values.length > 1);
    if (sizes.size > 1 && varied.length <= 1) return [heatmap(name, points, ROWS)];
    return grouped(points, ({ shape }) => said(shape)).map(([each, own]) => heatmap(each, own, null));
  });
}

const said = (fields: Readonly<Record<string, SweepValue>>): string =>
  Object.entries(fields)
    .map(([name, value]) => (typeof value === 'string' ? value : `${name}=${String(value)}`))
    .join(' ');

const order = (a: SweepValue, b: SweepValue): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });

function parametersOf(points: readonly SweepPoint[]): Parameter[] {
  const names = [...new Set(points.flatMap(({ configuration }) => Object.keys(configuration)))];
  return names
    .map((name) => ({
      name,
      values: [...new Set(points.map(({ configuration }) => configuration[name] ?? null))].sort(order),
    }))
    .sort((a, b) => b.values.length - a.values.length);
}

/** @param byRows  that field of the problem runs down, and each row has a best of its own; null for one problem */
function heatmap(name: string, points: readonly SweepPoint[], byRows: string | null): Markup {
  const parameters = parametersOf(points);
  const none: Parameter = { name: '', values: [null] };
  // The widest one runs across; what was not varied is part of the words below.
  const [across = none, second = none] = parameters.filter(({ values }, i) => i === 0 || values.length > 1);
  const down =
    byRows === null
      ? second
      : { name: byRows, values: [...new Set(points.map(({ shape }) => shape[byRows] ?? null))].sort(order) };
  const of = (point: SweepPoint) => (byRows === null ? point.configuration : point.shape)[down.name] ?? null;
  const measured = points.filter(({ ms }) => ms !== null);
  const best = min(measured, ({ ms }) => ms!);
  const winner = measured.find(({ ms }) => ms === best);
  const rest = parameters.filter(
    (parameter) => parameter !== across && parameter !== down && parameter.values.length > 1,
  );
  const axes = `${down === none ? '' : `${down.name} ↓   `}${across.name} →`;
  const width = Math.max(LEFT + across.values.length * CELL.width, 8 + 7.5 * axes.length) + 8;
  const height = TOP + down.values.length * CELL.height + 8;
  const cells = down.values.map((row, i) => {
    const line = points.filter((point) => down === none || of(point) === row);
    const least = byRows === null ? best : min(line, ({ ms }) => ms ?? Number.POSITIVE_INFINITY);
    return across.values.map((column, j) => {
      const here = line.filter(({ configuration }) => (configuration[across.name] ?? null) === column);
      return cell(here, least ?? Number.NaN, rest, LEFT + j * CELL.width, TOP + i * CELL.height, i + j === 0);
    });
  });
  const summary =
    winner === undefined
      ? 'nothing was measured'
      : byRows !== null
        ? `each row by its best; ${measured.length} of ${points.length} measured`
        : `best ${milliseconds(best!)} ms with ${said(winner.configuration)}; ${measured.length} of ${points.length} measured`;
  return html`<figure class="card heat" data-name="${name}"><figcaption><strong>${name}</strong><span class="sub">${summary}</span></figcaption>
<div class="scroll" tabindex="0" role="region" aria-label="Tile map of ${name}"><svg class="chart heatmap" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="group" aria-label="Time of ${name} by ${across.name}${down === none ? '' : ` and ${down.name}`}, relative to the best; arrow keys go from cell to cell">
<text class="axis-title" x="8" y="14">${axes}</text>
<g class="axis">${across.values.map((value, j) => html`<text x="${LEFT + (j + 0.5) * CELL.width}" y="${TOP - 10}" text-anchor="middle">${String(value ?? '–')}</text>`)}${down === none ? null : down.values.map((value, i) => html`<text x="${LEFT - 10}" y="${TOP + (i + 0.5) * CELL.height + 4}" text-anchor="end">${String(value ?? '–')}</text>`)}</g>
<g data-roving="">${cells}</g></svg></div></figure>`;
}

function cell(
  here: readonly SweepPoint[],
  best: number,
  rest: readonly Parameter[],
  x: number,
  y: number,
  first: boolean,
): Markup {
  const measured = here.filter(({ ms }) => ms !== null).sort((a, b) => a.ms! - b.ms!);
  const [fastest] = measured;
  const box = html`x="${x + 1}" y="${y + 1}" width="${CELL.width - 2}" height="${CELL.height - 2}" rx="4"`;
  const focus = String(first ? 0 : -1);
  const middle = html`x="${x + CELL.width / 2}" y="${y + CELL.height / 2 + 4}" text-anchor="middle"`;
  if (fastest === undefined) {
    const why = here.find(({ note }) => note !== undefined)?.note ?? (here.length > 0 ? 'not measured' : 'not tried');
    return html`<g class="cell empty" tabindex="${focus}" role="img" aria-label="${here[0] === undefined ? '' : `${said(here[0].configuration)}; `}${why}"><rect ${box}/><text ${middle}>·</text></g>`;
  }
  const ratio = fastest.ms! / best;
  const step = HEAT_BOUNDS.filter((bound) => ratio > bound).length;
  const others =
    rest.length > 0 && measured.length > 1
      ? `; best of ${measured.length} over ${rest.map((p) => p.name).join(', ')}`
      : '';
  const label = `${said(fastest.configuration)}; ${milliseconds(fastest.ms!)} ms, ${fixed(ratio, 2)} times the best${others}`;
  return html`<g class="cell h${String(step)}${ratio === 1 ? ' best' : ''}" tabindex="${focus}" role="img" aria-label="${label}"><rect ${box}/><text ${middle}>${ratio === 1 ? '★ ' : ''}${fixed(ratio, 2)}</text></g>`;
}

export function heatKey(): Markup {
  const labels = HEAT_BOUNDS.map((bound, i) => (i === 0 ? `to ${bound}` : `to ${bound}`)).concat('more');
  return html`<p class="heat-key">Time by the best: ${labels.map((label, i) => html`<span class="swatch h${String(i)}">${label}</span>`)}<span class="swatch empty">· not measured</span> ★ the best</p>`;
}
