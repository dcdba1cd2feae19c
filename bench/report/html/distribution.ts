import { bin, max, median, quantileSorted } from 'd3-array';
import { scaleLinear } from 'd3-scale';
import { area, curveMonotoneX, line } from 'd3-shape';
import { fixed, milliseconds } from '../format.ts';
import { html, type Markup } from './markup.ts';
import type { Entry } from './model.ts';

const WIDTH = 340;
const PLOT = { left: 10, right: 40, top: 20, bottom: 128 };
const ORDER = { top: 158, bottom: 186 };
const HEIGHT = 192;
/** Tukey's outer fences: what lies beyond is told, not drawn to scale. */
const FENCE = 3;
const BINS = 28;
const ECDF_POINTS = 80;
/** Medians of so many stretches show what changed in the course of the measurement. */
const STRETCHES = 48;

/** All samples of a case: histogram, cumulative distribution, median with its interval, and the course of time. */
export function distribution(entry: Entry, colour: string): Markup {
  const { ms } = entry;
  const sorted = [...ms.samples].sort((a, b) => a - b);
  const quantile = (p: number) => quantileSorted(sorted, p)!;
  const reach = FENCE * (quantile(0.75) - quantile(0.25));
  const from = Math.max(sorted[0]!, quantile(0.25) - reach);
  const to = Math.min(sorted.at(-1)!, quantile(0.75) + reach);
  // One value many times over still needs a width.
  const room = Math.max((to - from) * 0.04, ms.p50 * 0.01);
  const x = scaleLinear([from - room, to + room], [PLOT.left, WIDTH - PLOT.right]);
  const shown = sorted.filter((value) => value >= from && value <= to);
  const bins = bin()
    .domain([from, to])
    .thresholds(Array.from({ length: BINS - 1 }, (_, i) => from + ((i + 1) * (to - from)) / BINS))(shown);
  const y = scaleLinear([0, max(bins, ({ length }) => length)!], [PLOT.bottom, PLOT.top]);
  const share = scaleLinear([0, 1], [PLOT.bottom, PLOT.top]);
  const least = (to - from) / BINS;
  const bars = bins.map((each) => {
    if (each.length === 0) return null;
    const [left, right] = to > from ? [x(each.x0!), x(each.x1!)] : [x(from) - 4, x(from) + 4];
    return html`<rect class="bar" x="${left + 0.5}" y="${y(each.length)}" width="${Math.max(right - left - 1, 1)}" height="${PLOT.bottom - y(each.length)}"/>`;
  });
  const ecdf = line<number>(
    (p) => x(quantile(p)),
    (p) => share(p),
  )(
    Array.from({ length: ECDF_POINTS + 1 }, (_, i) => i / ECDF_POINTS).filter(
      (p) => quantile(p) >= from && quantile(p) <= to,
    ),
  );
  const above = sorted.filter((value) => value > to).length;
  const below = sorted.filter((value) => value < from).length;
  const rule = (value: number, name: string) =>
    value > to + least
      ? null
      : html`<path class="rule" d="M${x(value)} ${PLOT.bottom}v-8"/><text class="rule-label" x="${x(value)}" y="${PLOT.bottom - 11}" text-anchor="middle">${name}</text>`;
  const ticks = x.ticks(4).filter((tick) => x(tick) > PLOT.left + 10 && x(tick) < WIDTH - PLOT.right - 6);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(ticks.length > 1 ? ticks[1]! - ticks[0]! : ms.p50)) - 1);
  const beyond = [
    above > 0 ? `${above} beyond, to ${milliseconds(ms.max)} ms →` : '',
    below > 0 ? `← ${below} below, from ${milliseconds(ms.min)} ms` : '',
  ].filter((text) => text !== '');
  const { low, high } = ms.interval;
  const [a, b] = [x(Math.max(low, from - room)), x(Math.min(high, to + room))];
  return html`<svg class="chart small ${colour}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Distribution of ${String(sorted.length)} samples: median ${milliseconds(ms.p50)} ms, 95% interval ${milliseconds(low)} to ${milliseconds(high)}, p95 ${milliseconds(ms.p95)}, p99 ${milliseconds(ms.p99)}${beyond.map((text) => `, ${text.replace(/[←→]/g, '').trim()}`)}">
<rect class="interval" x="${a}" y="${PLOT.top}" width="${Math.max(b - a, 1)}" height="${PLOT.bottom - PLOT.top}"/>
<g class="bars">${bars}</g>
<path class="ecdf" d="${ecdf ?? ''}"/>
<path class="median" d="M${x(ms.p50)} ${PLOT.bottom}V${PLOT.top - 4}"/>
<text class="median-label" x="${x(ms.p50)}" y="${PLOT.top - 8}" text-anchor="${x(ms.p50) > WIDTH - 90 ? 'end' : x(ms.p50) < 60 ? 'start' : 'middle'}">${milliseconds(ms.p50)} ms</text>
${rule(ms.p95, 'p95')}
<g class="axis"><path d="M${PLOT.left} ${PLOT.bottom}H${WIDTH - PLOT.right}"/>${ticks.map((tick) => html`<text x="${x(tick)}" y="${PLOT.bottom + 14}" text-anchor="middle">${fixed(tick, Math.min(digits, 5))}</text>`)}<text x="${WIDTH - PLOT.right + 5}" y="${share(1) + 4}">100%</text><text x="${WIDTH - PLOT.right + 5}" y="${share(0.5) + 4}">50%</text></g>
${beyond.length > 0 ? html`<text class="beyond" x="${WIDTH - 4}" y="${PLOT.top - 8}" text-anchor="end">${x(ms.p50) > WIDTH / 2 ? null : beyond[0]!}</text>` : null}
${course(ms.samples, from, to)}
</svg>`;
}

/** How the samples went on in time. */
function course(samples: readonly number[], from: number, to: number): Markup | null {
  const size = Math.max(1, Math.ceil(samples.length / STRETCHES));
  const medians: number[] = [];
  for (let i = 0; i < samples.length; i += size) medians.push(median(samples.slice(i, i + size))!);
  if (medians.length < 3) return null;
  const x = scaleLinear([0, medians.length - 1], [PLOT.left, WIDTH - PLOT.right]);
  const y = scaleLinear([from, to > from ? to : from * 1.01], [ORDER.bottom, ORDER.top]).clamp(true);
  const path = line<number>(
    (_, i) => x(i),
    (value) => y(value),
  ).curve(curveMonotoneX)(medians);
  const filled = area<number>(
    (_, i) => x(i),
    ORDER.bottom,
    (value) => y(value),
  ).curve(curveMonotoneX)(medians);
  return html`<path class="course-area" d="${filled ?? ''}"/><path class="course" d="${path ?? ''}"/><text class="course-label" x="${WIDTH - PLOT.right + 5}" y="${ORDER.bottom}">time</text>`;
}
