import type { Environment } from '../info/environment.ts';

/** What has to be the same for times to be comparable. */
const HARDWARE = ['cpu', 'cores', 'platform', 'device', 'architecture', 'computeUnits'] as const;
/** What may well be the reason of a difference. */
const SOFTWARE = ['tilewright', 'revision', 'node', 'system', 'driver'] as const;

type Difference = { readonly field: string; readonly now: string; readonly before: string };

const differences = (fields: readonly (keyof Environment)[], now: Environment, then: Environment): Difference[] =>
  fields
    .filter((field) => now[field] !== then[field])
    .map((field) => ({ field, now: String(now[field]), before: String(then[field]) }));

export const hardwareDifferences = (now: Environment, then: Environment): Difference[] =>
  differences(HARDWARE, now, then);
export const softwareDifferences = (now: Environment, then: Environment): Difference[] =>
  differences(SOFTWARE, now, then);

export const showDifferences = (found: readonly Difference[]): string =>
  found.map(({ field, now, before }) => `${field} ${before} → ${now}`).join(', ');
