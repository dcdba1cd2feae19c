import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { TilewrightError } from '../../ts/errors.ts';
import type { SuiteResult } from '../suites/suite.ts';
import { BASELINE_FORMAT, BASELINE_SCHEMA, BASELINE_VERSION } from './schema.ts';

/** The results of a run, kept to compare later ones with. */
export interface Baseline {
  readonly format: typeof BASELINE_FORMAT;
  readonly version: typeof BASELINE_VERSION;
  readonly created: string;
  readonly results: readonly SuiteResult[];
}

/** Errors of a file that are told; one wrong field in a hundred results would give a hundred. */
const MAX_ERRORS = 5;

/** Write a baseline. A run that is stopped meanwhile leaves the old file as it was. */
export async function saveBaseline(path: string, results: readonly SuiteResult[]): Promise<void> {
  const baseline: Baseline = {
    format: BASELINE_FORMAT,
    version: BASELINE_VERSION,
    created: new Date().toISOString(),
    results,
  };
  const unfinished = `${path}.${process.pid}.part`;
  try {
    await writeFile(unfinished, `${JSON.stringify(baseline)}\n`);
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw new TilewrightError('ERR_FILE', `Cannot write the baseline ${path}: ${(cause as Error).message}.`, { cause });
  }
}

/** Read a baseline. @throws ERR_FILE if it cannot be read or is none */
export async function loadBaseline(path: string): Promise<Baseline> {
  const fail = (what: string, cause?: unknown) =>
    new TilewrightError('ERR_FILE', `${path} ${what}`, cause === undefined ? {} : { cause });
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw fail(`cannot be read as a baseline: ${(cause as Error).message}.`, cause);
  }
  const problem = baselineProblem(content);
  if (problem !== null) throw fail(`is not a baseline of version ${BASELINE_VERSION}: ${problem}`);
  return content as Baseline;
}

/** What is wrong with the content of a baseline file; null if nothing is. */
export function baselineProblem(content: unknown): string | null {
  const { format, version } = (content ?? {}) as { format?: unknown; version?: unknown };
  if (format !== BASELINE_FORMAT)
    return `it does not say "format": "${BASELINE_FORMAT}". Make one with --save-baseline.`;
  if (version !== BASELINE_VERSION) {
    return `it has version ${String(version)}. Save it anew, or use the tilewright that wrote it.`;
  }
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, verbose: false });
  const validate = ajv.compile(BASELINE_SCHEMA);
  if (validate(content)) return null;
  const errors = validate.errors ?? [];
  const more = errors.length > MAX_ERRORS ? `; and ${errors.length - MAX_ERRORS} more` : '';
  const told = errors
    .slice(0, MAX_ERRORS)
    .map(({ instancePath, message }) => `${instancePath || 'the file'} ${message}`);
  return `${told.join('; ')}${more}.`;
}
