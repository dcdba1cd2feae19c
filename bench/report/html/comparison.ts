import { max, quantile } from 'd3-array';
import { scaleLog } from 'd3-scale';
import type { Verdict } from '../../baseline/compare.ts';
import { fixed, ratio } from '../format.ts';
import { html, type Markup } from './markup.ts';
import type { Change, Comparing } from './model.ts';

const WIDTH = 300;
const HEIGHT = 26;
const PAD = 12;
/** Ratios beyond this are drawn at the edge; the number says what they are. */
const MOST = 16;

/** A shape for each verdict, besides its colour and its word. */
const SHAPES: Readonly<Record<Verdict, string>> = {
  slower: 'M0 -6.5L6.5 5.5H-6.5Z',
  faster: 'M0 6.5L6.5 -5.5H-6.5Z',
  same: 'M0 -5A5 5 0 1 1 0 5A5 5 0 1 1 0 -5Z',
  inconclusive: 'M0 -6.5L6.5 0L0 6.5L-6.5 0Z',
};
export const VERDICT_MARKS: Readonly<Record<Verdict, string>> = {
  slower: '▲',
  faster: '▼',
  same: '●',
  inconclusive: '◆',
};
export const VERDICTS = ['slower', 'inconclusive', 'faster', 'same'] as const satisfies readonly Verdict[];

export function countOf(changes: readonly Change[], verdict: Verdict): number {
  return changes.filter((change) => change.verdict === verdict).length;
}

/** Each case with its ratio and interval on one axis: what became slower stands first. */
export function comparison({ title, note, changes }: Comparing, threshold: number): Markup {
  const x = scaleLog([1 / reachOf(changes, threshold), reachOf(changes, threshold)], [PAD, WIDTH - PAD]).clamp(true);
  const several = new Set(changes.map(({ backend }) => backend)).size > 1;
  const suites = new Set(changes.map(({ suite }) => suite)).size > 1;
  const counts = VERDICTS.filter((verdict) => countOf(changes, verdict) > 0);
  return html`<section class="block"><h3>${title}</h3><p class="sub">${note}</p>
<ul class="verdicts">${counts.map((verdict) => html`<li class="v-${verdict}"><span aria-hidden="true">${VERDICT_MARKS[verdict]}</span> <b>${String(countOf(changes, verdict))}</b> ${verdict}</li>`)}</ul>
${
  changes.length === 0
    ? html`<p>No case is in both.</p>`
    : html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table class="sortable comparison"><thead><tr>${several ? html`<th scope="col">back end</th>` : null}${suites ? html`<th scope="col">suite</th>` : null}<th scope="col">case</th><th scope="col">verdict</th><th scope="col" class="num">ratio (95%)</th><th scope="col" class="strip">${axis(x)}</th><th scope="col">because</th></tr></thead>
<tbody>${changes.map(
        (change) =>
          html`<tr data-name="${change.case}">${several ? html`<td>${change.backend}</td>` : null}${suites ? html`<td>${change.suite}</td>` : null}<th scope="row">${change.case}</th><td class="v-${change.verdict}"><span aria-hidden="true">${VERDICT_MARKS[change.verdict]}</span> ${change.verdict}</td><td class="num" data-value="${String(change.ratio.median)}">${ratio(change.ratio)}</td><td class="strip" data-value="${String(change.ratio.median)}">${strip(change, x, threshold)}</td><td class="because">${change.reason}</td></tr>`,
      )}</tbody></table></div>`
}</section>`;
}

/** Far enough for every median and most intervals: one case with hardly any samples does not flatten all others. */
function reachOf(changes: readonly Change[], threshold: number): number {
  const far = changes.map(({ ratio: { low, high } }) => Math.max(high, 1 / low));
  const medians = changes.map(({ ratio: { median } }) => Math.max(median, 1 / median));
  return Math.min(MOST, Math.max(1 + 3 * threshold, 1.15 * (max(medians) ?? 1), quantile(far, 0.8) ?? 1));
}

type Scale = ReturnType<typeof scaleLog<number, number>>;

function axis(x: Scale): Markup {
  const reach = x.domain()[1]!;
  const ticks = reach > 4 ? [1 / 8, 1 / 2, 1, 2, 8] : reach > 1.6 ? [0.5, 0.7, 1, 1.4, 2] : [0.8, 0.9, 1, 1.1, 1.25];
  const shown = ticks.filter((tick) => tick >= 1 / reach && tick <= reach);
  return html`<svg class="chart axis-strip" width="${WIDTH}" height="30" viewBox="0 0 ${WIDTH} 30" role="img" aria-label="ratio of times, from faster on the left to slower on the right"><text x="${PAD}" y="10">← faster</text><text x="${WIDTH - PAD}" y="10" text-anchor="end">slower →</text><g class="axis">${shown.map((tick) => html`<text x="${x(tick)}" y="26" text-anchor="middle">${String(Number(tick.toFixed(3)))}</text>`)}</g></svg>`;
}

function strip({ ratio: { median, low, high }, verdict }: Change, x: Scale, threshold: number): Markup {
  const band = [x(1 / (1 + threshold)), x(1 + threshold)] as const;
  const middle = HEIGHT / 2;
  return html`<svg class="chart strip v-${verdict}" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${fixed(median, 2)}, from ${fixed(low, 2)} to ${fixed(high, 2)}"><rect class="threshold" x="${band[0]}" y="0" width="${band[1] - band[0]}" height="${HEIGHT}"/><path class="one" d="M${x(1)} 0V${HEIGHT}"/><path class="whisker" d="M${x(low)} ${middle}H${x(high)}M${x(low)} ${middle - 4}v8M${x(high)} ${middle - 4}v8"/><path class="mark" transform="translate(${x(median)} ${middle})" d="${SHAPES[verdict]}"/></svg>`;
}
