import type { TuningEvidence, TuningRecord } from '../../ts/dispatch/tuning-table.ts';
import { milliseconds, ratio, styled } from '../report/format.ts';
import { type Column, renderTable } from '../report/table.ts';
import type { PlannedStudy, Refusal, StudyOutcome, SweepResult } from './run.ts';
import { showConfiguration } from './shape.ts';

const percent = (share: number) => `${share <= 1 ? '-' : '+'}${(100 * Math.abs(1 - share)).toFixed(0)}%`;

/** What was refused, one line for each reason. */
function refusals(refused: readonly Refusal[]): string[] {
  const reasons = new Map<string, Set<string>>();
  for (const { reason, shape } of refused) reasons.set(reason, (reasons.get(reason) ?? new Set()).add(shape));
  return [...reasons].map(([reason, shapes]) => `  not legal at ${[...shapes].join('; ')}: ${reason}`);
}

/** What a sweep would measure, for people. */
export function planReport(device: string, studies: readonly PlannedStudy[]): string {
  const lines = studies.flatMap(({ study, shapes, configurations, refused, pruned }) => [
    styled('bold', study),
    `  at ${shapes.join('; ')}`,
    ...configurations.map(
      ({ configuration, estimateMs }, i) =>
        `  ${String(i + 1).padStart(3)}. ${showConfiguration(configuration)}` +
        (estimateMs === null ? '' : `  (about ${milliseconds(estimateMs)} ms)`),
    ),
    ...(pruned.length === 0 ? [] : [`  left out by the cost model: ${pruned.map(showConfiguration).join('; ')}`]),
    ...refusals(refused),
    '',
  ]);
  return [`${device}: nothing was measured.`, '', ...lines].join('\n');
}

const EVIDENCE: readonly Column<TuningEvidence>[] = [
  { header: 'case', cell: (one) => one.case },
  { header: 'default ms', align: 'right', cell: ({ defaultMs }) => milliseconds(defaultMs) },
  { header: 'tuned ms', align: 'right', cell: ({ tunedMs }) => milliseconds(tunedMs) },
  { header: 'tuned / default', align: 'right', cell: (one) => ratio(one.ratio) },
  { header: 'entries', cell: ({ entries }) => entries.join(' ') },
];

const STUDIES: readonly Column<StudyOutcome>[] = [
  { header: 'study', cell: ({ study }) => study },
  { header: 'configurations', align: 'right', cell: ({ configurations }) => String(configurations.length) },
  { header: 'shapes', align: 'right', cell: ({ shapes }) => String(shapes.length) },
  { header: 'chosen', cell: ({ chosen }) => showConfiguration(chosen) },
  {
    header: 'time',
    align: 'right',
    cell: ({ chosen, ratio: by }) => (Object.keys(chosen).length === 0 ? '' : percent(by)),
  },
];

/** What a sweep found, for people. */
export function sweepReport({
  key,
  studies,
  dropped,
  evidence,
  tuning,
  table,
  saved,
  resumedUnits,
}: SweepResult): string {
  const { device, backend, architecture, computeUnits } = key;
  const entries = Object.entries(tuning);
  return [
    renderTable(STUDIES, studies),
    '',
    ...(resumedUnits === 0 ? [] : [`${resumedUnits} measurements were taken over from a sweep that was stopped.`]),
    ...dropped.map(({ entry, value, reason }) => `dropped ${entry}=${value}: ${reason}`),
    ...(evidence.length === 0 ? [] : ['', renderTable(EVIDENCE, evidence), '']),
    entries.length === 0
      ? 'Nothing is faster than the defaults beyond noise: the table has no entry for these shapes.'
      : `Kept: ${showConfiguration(tuning)}`,
    `${device} (${backend}, ${architecture}, ${computeUnits} threads or units): ${saved ? table : 'nothing was written'}`,
    'time: of the chosen configuration against the default, as the search saw it. tuned / default: measured anew in',
    'turns, the median of the ratios of the passes with its 95% interval.',
    '',
  ].join('\n');
}

/** What a table holds, for people. */
export function tableReport(path: string, records: readonly TuningRecord[]): string {
  if (records.length === 0) return `${path}: nothing was tuned on this machine yet. \`bench sweep\` does it.\n`;
  const parts = records.flatMap(({ key, created, tuning, evidence }) => {
    const { device, backend, architecture, computeUnits, driver, tilewright } = key;
    const entries = Object.entries(tuning);
    const system = driver === null ? '' : `, ${driver}`;
    return [
      styled('bold', `${device} (${backend}, ${architecture}, ${computeUnits} threads or units${system})`),
      `measured ${created.slice(0, 16).replace('T', ' ')} UTC with tilewright ${tilewright}: default against tuned, in turns`,
      '',
      ...(entries.length === 0
        ? ['no entries: nothing was faster than the defaults beyond noise']
        : [
            renderTable<readonly [string, number]>(
              [
                { header: 'entry', cell: ([name]) => name },
                { header: 'value', align: 'right', cell: ([, value]) => String(value) },
              ],
              entries,
            ),
          ]),
      ...(evidence.length === 0 ? [] : ['', renderTable(EVIDENCE, evidence)]),
      '',
    ];
  });
  return [...parts, `${path}`, ''].join('\n');
}
