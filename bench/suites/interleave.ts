import type { ProbeReading, Round, Sampler, WarmUp } from './measure.ts';
import type { Effort, Progress } from './session.ts';

/** Rounds that give a usable p95 of slow operations, too. */
const MIN_ROUNDS = 10;
const MAX_ROUNDS = 1000;

/** The rounds of one sampler. */
export interface Measured {
  readonly rounds: readonly Round[];
  readonly warmUp: WarmUp;
  readonly before: ProbeReading;
  readonly after: ProbeReading;
}

/**
 * Measures samplers in passes: one round of each per pass, in an order that turns round every time, so that what the
 * machine does meanwhile falls on all of them alike.
 */
export async function interleave(
  samplers: readonly Sampler[],
  { effort, signal, progress }: { readonly effort: Effort; readonly signal: AbortSignal; readonly progress: Progress },
  label: string,
): Promise<Measured[]> {
  progress.update(`${label}: warming up`);
  const warmUps: WarmUp[] = [];
  for (const sampler of samplers) warmUps.push(await sampler.warmUp());
  const probes = async () => {
    const readings: ProbeReading[] = [];
    for (const sampler of samplers) readings.push(await sampler.probe());
    return readings;
  };
  const before = await probes();
  const rounds = samplers.map((): Round[] => []);
  const begin = performance.now();
  const time = effort.timeMs * samplers.length;
  const wanted = (done: number) =>
    effort.rounds !== undefined
      ? done < effort.rounds
      : done < MIN_ROUNDS || (done < MAX_ROUNDS && performance.now() - begin < time);
  for (let pass = 0; wanted(pass); pass++) {
    for (let turn = 0; turn < samplers.length; turn++) {
      const i = pass % 2 === 0 ? turn : samplers.length - 1 - turn;
      rounds[i]!.push(await samplers[i]!.round());
      signal.throwIfAborted();
    }
    progress.update(`${label}: round ${pass + 1}, ${rounds[0]!.at(-1)!.samples[0]!.toPrecision(3)} ms`);
  }
  const after = await probes();
  return samplers.map((_, i) => ({ rounds: rounds[i]!, warmUp: warmUps[i]!, before: before[i]!, after: after[i]! }));
}

/** All samples of some rounds. */
export const samplesOf = (rounds: readonly Round[]): number[] => rounds.flatMap(({ samples }) => samples);
