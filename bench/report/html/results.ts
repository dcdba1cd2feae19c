import { fixed, milliseconds, ratio } from '../format.ts';
import { html, type Markup } from './markup.ts';
import type { Entry } from './model.ts';

const BAR = 90;

/** Every result of a suite, with its share of the limit as a bar. */
export function resultTable(suite: string, entries: readonly Entry[]): Markup {
  const some = (test: (entry: Entry) => boolean) => entries.some(test);
  const backends = new Set(entries.map(({ machine }) => machine)).size > 1;
  const files = new Set(entries.map(({ file }) => file)).size > 1;
  const against = some((entry) => entry.against !== null);
  const rates = some(({ gflops }) => gflops >= 1);
  const traffic = some(({ gbps }) => gbps >= 0.1);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Results of ${suite}"><table class="sortable results"><caption>${suite}</caption><thead><tr><th scope="col">case</th>${backends ? html`<th scope="col">back end</th>` : null}${files ? html`<th scope="col">file</th>` : null}<th scope="col" class="num">ms</th><th scope="col" class="num">±</th><th scope="col" class="num">p95</th><th scope="col" class="num">p99</th>${against ? html`<th scope="col">against</th><th scope="col" class="num">ratio (95%)</th>` : null}${rates ? html`<th scope="col" class="num">GFLOP/s</th>` : null}${traffic ? html`<th scope="col" class="num">GB/s</th>` : null}<th scope="col">bound by</th><th scope="col">share of the limit</th></tr></thead>
<tbody>${entries.map((entry) => row(entry, { backends, files, against, rates, traffic }))}</tbody></table></div>`;
}

const num = (value: number, text: string) => html`<td class="num" data-value="${String(value)}">${text}</td>`;

function row(
  entry: Entry,
  shown: { backends: boolean; files: boolean; against: boolean; rates: boolean; traffic: boolean },
): Markup {
  const { ms, limit, against } = entry;
  const spread = (50 * (ms.interval.high - ms.interval.low)) / ms.p50;
  return html`<tr id="${entry.id}" data-name="${entry.case}" tabindex="-1"><th scope="row">${entry.case}</th>${shown.backends ? html`<td>${entry.environment.backend}, ${entry.environment.architecture}</td>` : null}${shown.files ? html`<td>${entry.file}</td>` : null}${num(ms.p50, milliseconds(ms.p50))}${num(spread, `${fixed(spread, 1)}%`)}${num(ms.p95, milliseconds(ms.p95))}${num(ms.p99, milliseconds(ms.p99))}${
    shown.against
      ? against === null
        ? html`<td></td><td></td>`
        : html`<td>${against.name}</td>${num(against.ratio.median, ratio(against.ratio))}`
      : null
  }${shown.rates ? num(entry.gflops, entry.gflops < 1 ? '' : fixed(entry.gflops, 0)) : null}${shown.traffic ? num(entry.gbps, fixed(entry.gbps, 1)) : null}<td>${bound(entry)}</td><td data-value="${String(limit?.share ?? -1)}">${limit === null ? null : bar(limit.share)}</td></tr>`;
}

function bound({ limit }: Entry): string {
  switch (limit?.kind) {
    case undefined:
      return 'JavaScript';
    case 'memory':
      return `memory, ${fixed(limit.bandwidthGbps, 1)} GB/s`;
    case 'compute':
      return `${limit.peakKind}, ${fixed(limit.peakGops ?? Number.NaN, 0)} GOP/s`;
    case 'launch':
      return `launch, ${fixed(1000 * limit.launchMs, 1)} µs`;
  }
}

/** The limit is at the end of the bar; a share above 100% (a machine that became faster) fills it. */
function bar(share: number): Markup {
  return html`<span class="share"><svg class="chart meter" width="${BAR}" height="10" viewBox="0 0 ${BAR} 10" aria-hidden="true"><rect class="track" width="${BAR}" height="10" rx="3"/><rect class="fill" width="${Math.max(2, BAR * Math.min(1, share))}" height="10" rx="3"/></svg><span class="num">${fixed(100 * share, 0)}%</span></span>`;
}
