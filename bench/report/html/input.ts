import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { TilewrightError } from '../../../ts/errors.ts';
import type { AbResult } from '../../ab/run.ts';
import { baselineProblem } from '../../baseline/file.ts';
import { BASELINE_FORMAT, BASELINE_VERSION } from '../../baseline/schema.ts';
import type { SuiteResult } from '../../suites/suite.ts';
import { type Sweep, sweepProblem, sweepsOf } from './sweep-file.ts';

/** What a file held: results of suites, of an A/B run, or of a sweep. */
export interface ReportInput {
  /** Name of the file, for people. */
  readonly name: string;
  readonly results: readonly SuiteResult[];
  readonly ab: readonly AbResult[];
  readonly sweeps: readonly Sweep[];
}

/** Reads a file as `--save-baseline`, `--json` or a sweep wrote it; `-` is standard input. @throws ERR_FILE */
export async function readInput(path: string): Promise<ReportInput> {
  const name = path === '-' ? 'standard input' : basename(path);
  const fail = (what: string, cause?: unknown) =>
    new TilewrightError('ERR_FILE', `${path === '-' ? name : path} ${what}`, cause === undefined ? {} : { cause });
  let content: unknown;
  try {
    content = JSON.parse(path === '-' ? await readAll(process.stdin) : await readFile(path, 'utf8'));
  } catch (cause) {
    throw fail(`cannot be read as JSON: ${(cause as Error).message}.`, cause);
  }
  const input = { name, results: [], ab: [], sweeps: [] };
  const sweeps = sweepsOf(content);
  if (sweeps !== null) {
    const problem = sweeps.map(sweepProblem).find((found) => found !== null);
    if (problem !== undefined) throw fail(`is not a sweep that this version reads: ${problem}`);
    return { ...input, sweeps: sweeps as Sweep[] };
  }
  if (isAb(content)) return { ...input, ab: content };
  const results = Array.isArray(content) ? content : (content as { results?: unknown } | null)?.results;
  const problem = baselineProblem(
    Array.isArray(content)
      ? { format: BASELINE_FORMAT, version: BASELINE_VERSION, created: '', results: content }
      : content,
  );
  if (problem !== null) throw fail(`holds no results of \`bench … --json\` or --save-baseline: ${problem}`);
  return { ...input, results: results as SuiteResult[] };
}

function isAb(content: unknown): content is AbResult[] {
  const finite = (value: unknown) => typeof value === 'number' && Number.isFinite(value);
  return (
    Array.isArray(content) &&
    content.length > 0 &&
    content.every((entry: Partial<AbResult> | null) => {
      const { a, b, ratio, verdict } = entry ?? {};
      const named = [a, b].every((half) => typeof half?.case === 'string' && typeof half.label === 'string');
      const known = verdict === 'same' || verdict === 'slower' || verdict === 'faster';
      return named && known && [ratio?.median, ratio?.low, ratio?.high].every(finite);
    })
  );
}
