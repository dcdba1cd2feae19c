import { median } from 'd3-array';
import type { Command } from '../../ts/device/command-list.ts';
import type { CommandTiming } from '../../ts/device/submission.ts';
import type { PeakProbe } from '../limits/peak.ts';
import type { Session } from './session.ts';
import type { DeviceOperation, HostOperation, Operation } from './suite.ts';

/** What the machine could do at one moment. */
export interface ProbeReading {
  /** GB/s. */
  readonly bandwidth: number;
  /** 10^9 operations a second from registers; null where the back end has no probe. */
  readonly clock: number | null;
}

/** One round: probes, then a batch of operations, then some calls. */
export interface Round extends ProbeReading {
  /** Milliseconds of each operation. */
  readonly samples: readonly number[];
  /** Milliseconds of each call, by the wall clock. */
  readonly wall: readonly number[];
}

export interface WarmUp {
  readonly rounds: number;
  readonly ms: number;
  readonly stable: boolean;
}

/** Something that is measured round by round, wherever it runs. */
export interface Sampler {
  /** Operations of a round; fixed by the warm-up. */
  readonly batch: number;
  /** Copies of the data that the operations walk through. */
  readonly copies: number;
  warmUp(): Promise<WarmUp>;
  round(): Promise<Round>;
  /** The probes alone. */
  probe(): Promise<ProbeReading>;
}

/** How a result was measured. */
export interface Method {
  readonly rounds: number;
  readonly batch: number;
  readonly copies: number;
  /** A short run: its figures mean little. */
  readonly quick: boolean;
  /** Share of the machine that other processes used meanwhile, 0 to 1. */
  readonly otherLoad: number;
  readonly warmUp: WarmUp;
  /** The probes before the first round and after the last. */
  readonly before: ProbeReading;
  readonly after: ProbeReading;
}

/** Operations of a round take this long together: long against what lies between two submits. */
const BATCH_MS = 10;
const MAX_BATCH = 64;
/** Host code is repeated until one sample lasts this long: long against the clock's own cost. */
const HOST_SAMPLE_MS = 0.2;
const MAX_REPEATS = 1 << 16;
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

/** What a sampler of this process does to run and time operations. */
abstract class LocalSampler<O extends Operation> implements Sampler {
  readonly session: Session;
  readonly #operations: readonly O[];
  readonly #clock: PeakProbe | null;
  #next = 0;
  #batch = 1;

  constructor(session: Session, operations: readonly O[], clock: PeakProbe | null) {
    this.session = session;
    this.#operations = operations;
    this.#clock = clock;
  }

  get batch(): number {
    return this.#batch;
  }
  get copies(): number {
    return this.#operations.length;
  }

  /** The next operation: every round goes on where the one before stopped. */
  take(): O {
    return this.#operations[this.#next++ % this.#operations.length]!;
  }

  /** The clock first: reading memory, which comes after it, also pushes the data out of the caches. */
  get #probes(): readonly Command[] {
    const read = this.session.limits.probe.command;
    return this.#clock === null ? [read] : [this.#clock.command, read];
  }

  #reading(timings: readonly CommandTiming[]): ProbeReading {
    const [last, first] = [timings.at(this.#probes.length - 1)!, timings[0]!];
    return { bandwidth: this.session.limits.probe.gbps(last.ms), clock: this.#clock?.gops(first.ms) ?? null };
  }

  /** Runs commands after the probes, in one submit. */
  protected async submit(commands: readonly Command[]): Promise<ProbeReading & { timings: readonly CommandTiming[] }> {
    const { device, signal } = this.session;
    const { timings } = await device.submit([...this.#probes, ...commands], { timings: true, signal });
    return { ...this.#reading(timings), timings: timings.slice(this.#probes.length) };
  }

  async probe(): Promise<ProbeReading> {
    const { bandwidth, clock } = await this.submit([]);
    return { bandwidth, clock };
  }

  /** Run everything once, and find how many operations make a round. @returns milliseconds of one operation */
  protected abstract calibrate(): Promise<number>;

  async warmUp(): Promise<WarmUp> {
    const once = await this.calibrate();
    const fitting = Math.min(Math.max(Math.ceil(BATCH_MS / once), 1), MAX_BATCH);
    this.#batch = this.session.effort.quick ? 1 : Math.min(fitting, this.most());
    if (this.session.effort.quick) return { rounds: 0, ms: 0, stable: false };
    const begin = performance.now();
    const medians: number[] = [];
    for (;;) {
      medians.push(median((await this.round()).samples)!);
      const last = medians.slice(-STABLE_ROUNDS);
      const stable = last.length === STABLE_ROUNDS && Math.max(...last) <= STABLE_WITHIN * Math.min(...last);
      const ms = performance.now() - begin;
      if (ms >= MAX_WARM_UP_MS || (stable && ms > MIN_WARM_UP_MS)) return { rounds: medians.length, ms, stable };
    }
  }

  /** Operations that a round may have: data are not to be met again while a cache may still hold them. */
  protected most(): number {
    return MAX_BATCH;
  }

  abstract round(): Promise<Round>;
}

class DeviceSampler extends LocalSampler<DeviceOperation> {
  #rounds = 0;

  async #run(batch: number): Promise<Round> {
    const taken = Array.from({ length: batch }, () => this.take());
    const { bandwidth, clock, timings } = await this.submit(taken.flatMap(({ commands }) => commands));
    let at = 0;
    const samples = taken.map(({ commands }) => {
      let ms = 0;
      for (let i = 0; i < commands.length; i++) ms += timings[at++]!.ms;
      return ms;
    });
    return { samples, wall: [], bandwidth, clock };
  }

  protected override most(): number {
    return this.copies;
  }

  protected override async calibrate(): Promise<number> {
    await this.#run(1); // touches everything once; its time says nothing
    const once = (await this.#run(1)).samples[0]!;
    return once < BATCH_MS ? Math.min(once, (await this.#run(1)).samples[0]!) : once;
  }

  override async warmUp(): Promise<WarmUp> {
    const warmUp = await super.warmUp();
    this.#rounds = 0; // so that the first measured round has a call
    return warmUp;
  }

  override async round(): Promise<Round> {
    const round = await this.#run(this.batch);
    const wall: number[] = [];
    const few = this.batch === 1;
    for (
      let calls = few ? Number(this.#rounds++ % CALL_EVERY === 0) : Math.min(this.batch, MAX_CALLS);
      calls > 0;
      calls--
    ) {
      const { call } = this.take();
      const begin = performance.now();
      await call();
      wall.push(performance.now() - begin);
    }
    return { ...round, wall };
  }
}

class HostSampler extends LocalSampler<HostOperation> {
  #repeats = 1;

  /** Milliseconds of one unit, over `repeats` runs. */
  async #run({ host, units = 1 }: HostOperation, repeats: number): Promise<number> {
    const begin = performance.now();
    for (let i = 0; i < repeats; i++) {
      const result = host();
      if (result instanceof Promise) await result;
    }
    return (performance.now() - begin) / repeats / units;
  }

  protected override async calibrate(): Promise<number> {
    const operation = this.take();
    const { units = 1 } = operation;
    let once = await this.#run(operation, 1);
    // Code that runs in microseconds is compiled by the engine first, so it is asked again with more runs.
    while (!this.session.effort.quick && this.#repeats < MAX_REPEATS && once * units * this.#repeats < HOST_SAMPLE_MS) {
      this.#repeats *= 2;
      once = await this.#run(operation, this.#repeats);
    }
    return once * units * this.#repeats;
  }

  override async round(): Promise<Round> {
    const { bandwidth, clock } = await this.submit([]);
    const samples: number[] = [];
    for (let i = 0; i < this.batch; i++) samples.push(await this.#run(this.take(), this.#repeats));
    return { samples, wall: samples, bandwidth, clock };
  }
}

const isHost = (operation: Operation): operation is HostOperation => 'host' in operation;

/** Whose clock the operations are timed by. */
export function clockOf(operations: readonly Operation[]): 'device' | 'host' {
  return operations.every(isHost) ? 'host' : 'device';
}

/** A sampler of operations of this process: all of the device, or all of the host. */
export async function localSampler(session: Session, operations: readonly Operation[]): Promise<Sampler> {
  const clock = await session.limits.clock();
  if (operations.every(isHost)) return new HostSampler(session, operations, clock);
  return new DeviceSampler(session, operations as readonly DeviceOperation[], clock);
}
