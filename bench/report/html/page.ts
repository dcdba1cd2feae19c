import { createHash } from 'node:crypto';
import { median } from 'd3-array';
import { fixed, milliseconds } from '../format.ts';
import { comparison, countOf, VERDICTS } from './comparison.ts';
import { distribution } from './distribution.ts';
import { explanations } from './explain.ts';
import { heatKey, heatmaps } from './heatmap.ts';
import { html, Markup } from './markup.ts';
import type { Entry, Report } from './model.ts';
import { resultTable } from './results.ts';
import { Legend, roofline, underRoof } from './roofline.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** Groups of more cases than this begin closed. */
const MAX_OPEN = 24;

interface Part {
  readonly id: string;
  readonly title: string;
  readonly lead: string;
  readonly body: Markup;
}

/** The whole page. It asks nothing of any network, and allows nothing that is not in it. */
export function renderPage(report: Report, threshold: number): string {
  const parts = [...partsOf(report, threshold)];
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${report.title} – bench report</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header class="bar-top"><div class="top"><span class="brand">tilewright bench</span><nav aria-label="Sections">${parts.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav><button type="button" id="theme" hidden>Theme</button></div></header>
<main>
<header class="hero"><h1>${report.title}</h1>
<ul class="machines">${report.machines.map(({ name, details, software }) => html`<li><b>${name}</b> – ${details}. ${software}.</li>`)}</ul>
${tiles(report)}
${report.warnings.map((warning) => html`<p class="warning"><b>Note.</b> ${warning}</p>`)}
</header>
${parts.map(({ id, title, lead, body }) => html`<section id="${id}"><h2>${title}</h2><p class="lead">${lead}</p>${body}</section>`)}
</main>
<footer><p>Times are medians; ± is half of their 95% interval, by bootstrap over rounds. Outliers are part of all figures. The share of the limit is the least time that bandwidth, arithmetic or launches allow, by the time that was taken; above 100% the machine was faster during the samples than during the probes.</p><p>Written by tilewright on <time datetime="${report.created}">${report.created.slice(0, 16).replace('T', ' ')} UTC</time>.</p></footer>
<div id="tip" role="status" hidden></div>
<script>${new Markup(SCRIPT)}</script>
</body>
</html>
`;
  return page.text;
}

function tiles(report: Report): Markup {
  const { entries, machines, comparisons, sweeps } = report;
  const changes = comparisons.flatMap((each) => each.changes);
  const shares = entries.flatMap(({ limit }) => (limit === null || limit.kind === 'launch' ? [] : [limit.share]));
  const tile = (value: string, text: string, kind = '') =>
    html`<li class="tile ${kind}"><b>${value}</b><span>${text}</span></li>`;
  const kinds = { slower: 'bad', inconclusive: 'unsure', faster: 'good', same: '' } as const;
  const points = sweeps.reduce((sum, { results }) => sum + results.length, 0);
  return html`<ul class="tiles">${entries.length > 0 && tile(String(entries.length), entries.length === 1 ? 'result' : 'results')}${shares.length > 0 && tile(`${fixed(100 * median(shares)!, 0)}%`, 'of the limit, median')}${machines.length === 1 && tile(fixed(median(entries, ({ bandwidth }) => bandwidth.p50)!, 1), 'GB/s read, measured')}${VERDICTS.map(
    (verdict) => {
      const count = countOf(changes, verdict);
      const shown = changes.length > 0 && (count > 0 || verdict === 'slower');
      return shown && tile(String(count), verdict, count === 0 ? 'good' : kinds[verdict]);
    },
  )}${points > 0 && tile(String(points), 'configurations swept')}</ul>`;
}

function bySuite(entries: readonly Entry[]): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) groups.set(entry.suite, [...(groups.get(entry.suite) ?? []), entry]);
  return groups;
}

function* partsOf(report: Report, threshold: number): Generator<Part> {
  const { entries } = report;
  const legend = new Legend(entries.map(({ series }) => series));
  if (report.comparisons.length > 0) {
    yield {
      id: 'comparison',
      title: 'Comparison',
      lead: `Slower or faster: by more than ${fixed(100 * threshold, 0)}% (the shaded band), and 1 is not in the 95% interval. Inconclusive: the machine was not the same, so that a difference would say nothing of the code.`,
      body: html`${report.comparisons.map((each) => html`<div class="panel">${comparison(each, threshold)}</div>`)}`,
    };
  }
  const rooflines = report.machines.flatMap((machine) => {
    const own = entries.filter((entry) => entry.machine === machine);
    if (underRoof(own).length === 0) return [];
    const present = new Set(underRoof(own).map(({ entry }) => entry.series));
    const several = report.machines.length > 1;
    return [
      html`<section class="panel">${several ? html`<h3>${machine.name} <span class="sub">${machine.details}</span></h3>` : null}${legend.list(present)}${roofline(machine, own, legend)}</section>`,
    ];
  });
  if (rooflines.length > 0) {
    yield {
      id: 'roofline',
      title: 'Roofline',
      lead: 'What the machine can do at most, measured in the same run, and how near each result comes. Left of the ridge memory binds, right of it arithmetic. The shaded band is where 90% of the bandwidth probes were.',
      body: html`${rooflines}`,
    };
  }
  if (report.sweeps.length > 0) {
    yield {
      id: 'tiles',
      title: 'Tile maps',
      lead: 'Time of every configuration by the time of the best one. Where more than two parameters were varied, a cell shows the best over the others.',
      body: html`${heatKey()}${report.sweeps.map((sweep) => html`${sweep.device === undefined ? null : html`<h3>${sweep.device}</h3>`}<div class="heats">${heatmaps(sweep)}</div>`)}`,
    };
  }
  if (entries.length === 0) return;
  yield {
    id: 'results',
    title: 'Results',
    lead: 'Every figure. Headings sort.',
    body: html`<p class="tools"><label hidden>Filter <input id="filter" type="search" placeholder="q4_k m=1" autocomplete="off" spellcheck="false"></label><span id="found" class="sub" role="status"></span></p>${[...bySuite(entries)].map(([suite, own]) => html`<div class="panel">${resultTable(suite, own)}</div>`)}`,
  };
  yield {
    id: 'distributions',
    title: 'Distributions',
    lead: 'Every sample of every case. Bars are the histogram, the dashed line is the share of samples up to there, the shaded strip is the 95% interval of the median; below, the samples in the order of time. The scale ends at three interquartile ranges from the quartiles, and says what lies beyond.',
    body: html`${[...bySuite(entries)].map(([suite, own]) => html`<details class="group"${own.length <= MAX_OPEN ? new Markup(' open') : null}><summary>${suite} <span class="sub">${String(own.length)} cases</span></summary><div class="cards">${own.map((entry) => card(entry, legend, report.machines.length > 1))}</div></details>`)}`,
  };
  const why = explanations(entries);
  if (why !== null) {
    yield {
      id: 'kernels',
      title: 'Why these kernels',
      lead: 'What the dispatcher chose for each case, and the rule that took, passed over or refused every other kernel.',
      body: why,
    };
  }
}

function card(entry: Entry, legend: Legend, several: boolean): Markup {
  const { ms } = entry;
  const where = several ? `${entry.environment.backend} · ` : '';
  return html`<figure class="card" data-name="${entry.case}"><figcaption><strong>${entry.case}</strong><span class="sub">${where}median ${milliseconds(ms.p50)} ms (${milliseconds(ms.interval.low)}–${milliseconds(ms.interval.high)}) · p95 ${milliseconds(ms.p95)} · p99 ${milliseconds(ms.p99)} · ${String(ms.samples.length)} samples</span></figcaption>${distribution(entry, legend.colour(entry.series))}</figure>`;
}
