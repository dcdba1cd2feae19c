import { median } from 'd3-array';
import type { Command } from '../../ts/device/command-list.ts';
import { LoadMeter } from '../limits/load.ts';
import type { Session } from './session.ts';

/** One way to run what is measured; the several of a list do the same on different memory. */
export interface Operation {
  readonly commands: readonly Command[];
  /** The same as a user calls it. */
  readonly call: () => Promise<unknown>;
}

export interface Measurement {
  /** Milliseconds of each operation, by the device's clock. */
  readonly samples: readonly number[];
  /** Milliseconds of each call, by the wall clock. */
  readonly wall: readonly number[];
  /** GB/s of each probe. */
  readonly bandwidth: readonly number[];
  readonly method: {
    /** A round is a bandwidth probe, then a batch of operations in the same submit, then some calls. */
    readonly rounds: number;
    readonly batch: number;
    /** Copies of the data that the operations walk through. */
    readonly copies: number;
    /** Share of the machine that other processes used meanwhile, 0 to 1. */
    readonly otherLoad: number;
    readonly warmUp: { readonly rounds: number; readonly ms: number; readonly stable: boolean };
  };
}

/** Operations of a round take this long together: long against what lies between two submits. */
const BATCH_MS = 10;
const MAX_BATCH = 64;
/** Rounds that give a usable p95 of slow operations, too. */
const MIN_ROUNDS = 10;
const MAX_ROUNDS = 1000;
/** Calls of a round, one after the other: the first finds JavaScript's own code and data pushed out of the caches. */
const MAX_CALLS = 8;
/** Where a call takes as long as a round, only every so many rounds have one. */
const CALL_EVERY = 4;
/** Warm-up ends when so many rounds in a row have medians within this factor, */
const STABLE_ROUNDS = 3;
const STABLE_WITHIN = 1.05;
/** but not before and not long after these times. */
const MIN_WARM_UP_MS = 100;
const MAX_WARM_UP_MS = 1000;

/**
 * Measures operations, in rounds. Every round begins with a bandwidth probe, which also pushes the data out of the
 * caches, and goes through the copies where the round before stopped.
 */
export async function measure(session: Session, operations: readonly Operation[], label: string): Promise<Measurement> {
  const { device, signal, progress, effort } = session;
  const { probe } = session.limits;
  let next = 0;
  const take = () => operations[next++ % operations.length]!;

  const round = async (batch: number) => {
    const taken = Array.from({ length: batch }, take);
    const list = [probe.command, ...taken.flatMap(({ commands }) => commands)];
    const { timings } = await device.submit(list, { timings: true, signal });
    let at = 1;
    const samples = taken.map(({ commands }) => {
      let ms = 0;
      for (let i = 0; i < commands.length; i++) ms += timings[at++]!.ms;
      return ms;
    });
    return { samples, gbps: probe.gbps(timings[0]!.ms) };
  };

  progress.update(`${label}: warming up`);
  await round(1); // touches everything once; its time says nothing
  let once = (await round(1)).samples[0]!;
  if (once < BATCH_MS) once = Math.min(once, (await round(1)).samples[0]!);
  const batch = Math.min(Math.max(Math.ceil(BATCH_MS / once), 1), MAX_BATCH, operations.length);
  const warmUp = { rounds: 0, ms: 0, stable: false };
  const medians: number[] = [];
  const warmUpBegin = performance.now();
  do {
    medians.push(median((await round(batch)).samples)!);
    const last = medians.slice(-STABLE_ROUNDS);
    warmUp.stable = last.length === STABLE_ROUNDS && Math.max(...last) <= STABLE_WITHIN * Math.min(...last);
    warmUp.rounds++;
    warmUp.ms = performance.now() - warmUpBegin;
  } while (warmUp.ms < MAX_WARM_UP_MS && !(warmUp.stable && warmUp.ms > MIN_WARM_UP_MS));

  const samples: number[] = [];
  const wall: number[] = [];
  const bandwidth: number[] = [];
  const begin = performance.now();
  const load = new LoadMeter();
  let rounds = 0;
  const wanted = () =>
    effort.rounds !== undefined
      ? rounds < effort.rounds
      : rounds < MIN_ROUNDS || (rounds < MAX_ROUNDS && performance.now() - begin < effort.timeMs);
  while (wanted()) {
    const result = await round(batch);
    samples.push(...result.samples);
    bandwidth.push(result.gbps);
    for (let calls = batch > 1 ? Math.min(batch, MAX_CALLS) : rounds % CALL_EVERY === 0 ? 1 : 0; calls > 0; calls--) {
      const { call } = take();
      const start = performance.now();
      await call();
      wall.push(performance.now() - start);
    }
    signal.throwIfAborted();
    rounds++;
    progress.update(`${label}: round ${rounds}, ${result.samples[0]!.toPrecision(3)} ms`);
  }
  return {
    samples,
    wall,
    bandwidth,
    method: { rounds, batch, copies: operations.length, otherLoad: load.others(), warmUp },
  };
}
