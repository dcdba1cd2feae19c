import { fixed, milliseconds, printable, ratio } from '../format.ts';
import { countOf, VERDICT_MARKS, VERDICTS } from './comparison.ts';
import { escapeText } from './markup.ts';
import type { Change, Comparing, Entry, Report } from './model.ts';

/** Text of a file in a table of Markdown: no mark-up of its own, no cells of its own, no mentions or links. */
export function plain(text: string): string {
  return printable(text)
    .replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]!)
    .replace(/[\\`*_{}[\]()#+\-.!|~@:]/g, '\\$&');
}

const table = (header: readonly string[], align: readonly ('l' | 'r')[], rows: readonly (readonly string[])[]) =>
  [
    `| ${header.join(' | ')} |`,
    `| ${align.map((way) => (way === 'r' ? '---:' : '---')).join(' | ')} |`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');

const folded = (summary: string, body: string) => `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;

/** A report for a pull request: what became slower first, the rest folded away. */
export function renderMarkdown(report: Report, threshold: number): string {
  const { comparisons, entries, machines, warnings } = report;
  const blocks = [`## Bench: ${plain(report.title)}`];
  for (const { name, details, software } of machines)
    blocks.push(`${plain(name)}: ${plain(details)}. ${plain(software)}.`);
  for (const warning of warnings) blocks.push(`> **Note.** ${plain(warning)}`);
  for (const each of comparisons) blocks.push(...compared(each, threshold));
  const suites = [...new Set(entries.map(({ suite }) => suite))];
  for (const suite of suites) {
    const own = entries.filter((entry) => entry.suite === suite);
    const body = results(own);
    const count = `${own.length} ${own.length === 1 ? 'result' : 'results'}`;
    const folds = comparisons.length > 0;
    // A summary is HTML, where Markdown's escapes would be shown.
    blocks.push(folds ? folded(`${escapeText(suite)}: ${count}`, body) : `### ${plain(suite)}: ${count}\n\n${body}`);
  }
  for (const { device, results: points } of report.sweeps) {
    const measured = points.filter(({ ms }) => ms !== null);
    const problems = [...new Set(measured.map(({ shape }) => JSON.stringify(shape)))];
    const rows = problems.map((problem) => {
      const own = measured.filter(({ shape }) => JSON.stringify(shape) === problem).sort((a, b) => a.ms! - b.ms!);
      const words = (fields: object) =>
        plain(
          Object.entries(fields)
            .map(([k, v]) => `${k}=${String(v)}`)
            .join(' '),
        );
      return [words(own[0]!.shape), words(own[0]!.configuration), milliseconds(own[0]!.ms!), String(own.length)];
    });
    const body = table(['problem', 'best configuration', 'ms', 'measured'], ['l', 'l', 'r', 'r'], rows);
    blocks.push(`### Sweep${device === undefined ? '' : ` on ${plain(device)}`}\n\n${body}`);
  }
  return `${blocks.join('\n\n')}\n`;
}

function compared({ title, note, changes }: Comparing, threshold: number): string[] {
  const slower = changes.filter(({ verdict }) => verdict === 'slower');
  const rest = changes.filter(({ verdict }) => verdict !== 'slower');
  const counts = VERDICTS.filter((verdict) => countOf(changes, verdict) > 0)
    .map((verdict) => `${VERDICT_MARKS[verdict]} ${countOf(changes, verdict)} ${verdict}`)
    .join(', ');
  const rows = (list: readonly Change[]) =>
    table(
      ['suite', 'case', 'verdict', 'ratio (95%)', 'because'],
      ['l', 'l', 'l', 'r', 'l'],
      list.map((change) => [
        plain(change.suite),
        plain(change.case),
        `${VERDICT_MARKS[change.verdict]} ${change.verdict}`,
        ratio(change.ratio),
        plain(change.reason),
      ]),
    );
  const verdict =
    slower.length === 0
      ? `Nothing became slower by more than ${fixed(100 * threshold, 0)}%.`
      : `**${slower.length} ${slower.length === 1 ? 'case' : 'cases'} became slower.**`;
  const blocks = [`### ${plain(title)}`, `${verdict} ${counts}.`];
  if (slower.length > 0) blocks.push(rows(slower));
  if (rest.length > 0) blocks.push(folded(`The other ${rest.length}`, `${rows(rest)}\n\n${plain(note)}`));
  return blocks;
}

function results(entries: readonly Entry[]): string {
  return table(
    ['case', 'ms', '±', 'p95', 'GFLOP/s', 'GB/s', 'bound by', 'share'],
    ['l', 'r', 'r', 'r', 'r', 'r', 'l', 'r'],
    entries.map(({ case: name, ms, gflops, gbps, limit }) => [
      plain(name),
      milliseconds(ms.p50),
      `${fixed((50 * (ms.interval.high - ms.interval.low)) / ms.p50, 1)}%`,
      milliseconds(ms.p95),
      gflops >= 1 ? fixed(gflops, 0) : '',
      gbps >= 0.1 ? fixed(gbps, 1) : '',
      limit?.kind ?? 'JavaScript',
      limit === null ? '' : `${fixed(100 * limit.share, 0)}%`,
    ]),
  );
}
