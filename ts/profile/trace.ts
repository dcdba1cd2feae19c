import { rename, rm, writeFile } from 'node:fs/promises';
import type { Command, Launch } from '../device/command-list.ts';
import type { Device } from '../device/device.ts';
import type { Submission } from '../device/submission.ts';
import type { Span, SubmissionCall } from '../device/watch.ts';
import { TilewrightError } from '../errors.ts';
import { alignClocks } from './align.ts';
import { lanesOf, type Slice } from './lanes.ts';

/** An event of the Chrome trace format; times are microseconds. */
export interface TraceEvent {
  readonly ph: 'X' | 'M' | 'b' | 'e' | 's' | 'f';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: number;
  readonly bp?: 'e';
  readonly args?: Readonly<Record<string, unknown>>;
}

/** A file that Perfetto and chrome://tracing open. */
export interface ChromeTrace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
  readonly otherData: Readonly<Record<string, unknown>>;
}

export interface DeviceTraceOptions {
  /** Launches and spans that are kept; later ones are counted only. Defaults to 500,000, 100 MB and more as a file. */
  readonly maxEvents?: number | undefined;
}

type Args = Readonly<Record<string, unknown>>;

/** A launch of a submission that has ended; times are of the device's clock. */
interface Ran extends Slice {
  readonly name: string;
  readonly clock: 'device' | 'host';
  readonly args: Args;
}

/** A submission that has ended. */
interface Ended {
  readonly id: number;
  readonly begin: number;
  readonly end: number;
  readonly done: number;
  readonly failed: boolean;
  readonly commands: readonly Ran[];
}

const DEFAULT_MAX_EVENTS = 500_000;

/**
 * Records what happens on a device, from now on: when JavaScript encoded, submitted and awaited, when each launch ran on
 * the device, and scopes of {@link KernelTimer}.
 *
 * ```ts
 * using trace = new DeviceTrace(device);
 * await dispatcher.matmul({ a, b });
 * await trace.save('trace.json'); // open it in https://ui.perfetto.dev
 * ```
 *
 * Meanwhile every command is timed, which on GPUs keeps launches from overlapping.
 */
export class DeviceTrace implements Disposable {
  readonly device: Device;
  readonly #maxEvents: number;
  readonly #start = performance.now();
  readonly #unwatch: () => void;
  readonly #ended: Ended[] = [];
  readonly #spans: Span[] = [];
  readonly #argsOf = new WeakMap<Command, Args>();
  readonly #pending = new Set<Promise<unknown>>();
  #events = 0;
  #dropped = 0;
  #nextId = 1;

  constructor(device: Device, options: DeviceTraceOptions = {}) {
    const { maxEvents = DEFAULT_MAX_EVENTS } = options;
    if (!Number.isSafeInteger(maxEvents) || maxEvents < 1) {
      throw new TilewrightError('ERR_INVALID_ARGUMENT', `maxEvents must be a whole number from 1, not ${maxEvents}.`);
    }
    this.device = device;
    this.#maxEvents = maxEvents;
    this.#unwatch = device.watch({
      submitted: (submission, call) => this.#submitted(submission, call),
      span: (span) => {
        if (this.#room(1)) this.#spans.push(span);
      },
    });
  }

  /** Launches, submissions and spans that were left out since there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  #room(events: number): boolean {
    if (this.#events + events > this.#maxEvents) {
      this.#dropped += events;
      return false;
    }
    this.#events += events;
    return true;
  }

  #submitted(submission: Submission, { commands, begin, end }: SubmissionCall): void {
    if (!this.#room(commands.length + 1)) return;
    const id = this.#nextId++;
    // Data of the commands and not the commands: they would keep their buffers from being freed.
    const told = commands.map((command) => ({ name: command.label, args: this.#describe(command) }));
    const settle = (timings: Awaited<Submission>['timings'] | null) => {
      this.#pending.delete(ended);
      this.#ended.push({
        id,
        begin,
        end,
        done: performance.now(),
        failed: timings === null,
        commands: (timings ?? []).map((timing, i) => {
          const { name, args } = told[i] ?? { name: timing.label, args: {} };
          return { name, args, begin: timing.begin, end: timing.begin + timing.ms, clock: timing.clock };
        }),
      });
    };
    const ended: Promise<void> = submission.done.then(
      ({ timings }) => settle(timings),
      () => settle(null),
    );
    this.#pending.add(ended);
  }

  #describe(command: Command): Args {
    if (command.type === 'host') return {};
    let args = this.#argsOf.get(command);
    if (args === undefined) {
      args = argsOf(command);
      this.#argsOf.set(command, args);
    }
    return args;
  }

  /** A slice of your own, until it is disposed. */
  scope(name: string, args?: Args): Disposable {
    const begin = performance.now();
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (open) this.device.tell({ name, kind: 'scope', begin, end: performance.now(), args });
        open = false;
      },
    };
  }

  /** What has ended so far, as the Chrome trace format has it. */
  toJSON(): ChromeTrace {
    return chromeTrace([this]);
  }

  /** Wait for what was submitted, and write the trace. @throws ERR_FILE */
  async save(path: string): Promise<void> {
    await saveTrace(path, [this]);
  }

  /** Resolves when everything submitted so far has ended, and is part of the trace. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#pending]);
  }

  /** Stop recording. What was recorded can still be saved. */
  dispose(): void {
    this.#unwatch();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** For {@link chromeTrace}. */
  recorded(): Recorded {
    const { deviceName, architecture, backend } = this.device.capabilities;
    return {
      name: `${deviceName} (${backend}, ${architecture})`,
      start: this.#start,
      ended: this.#ended,
      spans: this.#spans,
      dropped: this.#dropped,
    };
  }
}

interface Recorded {
  readonly name: string;
  readonly start: number;
  readonly ended: readonly Ended[];
  readonly spans: readonly Span[];
  readonly dropped: number;
}

function argsOf({ kernel, constants, params, bindings }: Launch): Args {
  return {
    kernel: kernel.name,
    ...Object.fromEntries(kernel.constants.map((name, i) => [name, constants[i]])),
    ...params,
    bufferBytes: bindings.map((binding) => binding?.buffer.byteLength ?? 0),
  };
}

const JAVASCRIPT = 1;
/** Threads of the first process, in the order in which they are shown. */
const LANES = { scopes: 0, javascript: 1000 } as const;

/** One trace of several devices: a process for JavaScript, and one for each device. */
export function chromeTrace(traces: readonly DeviceTrace[]): ChromeTrace {
  const recorded = traces.map((trace) => trace.recorded());
  const start = Math.min(...recorded.map((each) => each.start));
  const events: TraceEvent[] = [];
  const microseconds = (ms: number) => Math.round((ms - start) * 1e6) / 1e3;
  const named = new Set<string>();
  const nameOf = (pid: number, tid: number, name: string) => {
    if (named.has(`${pid} ${tid}`)) return;
    named.add(`${pid} ${tid}`);
    events.push({ ph: 'M', name: 'thread_name', pid, tid, args: { name } });
    events.push({ ph: 'M', name: 'thread_sort_index', pid, tid, args: { sort_index: tid } });
  };
  const process = (pid: number, name: string) => {
    events.push({ ph: 'M', name: 'process_name', pid, tid: 0, args: { name } });
    events.push({ ph: 'M', name: 'process_sort_index', pid, tid: 0, args: { sort_index: pid } });
  };
  type Drawn = Slice & { readonly name: string; readonly cat: string; readonly args?: Args | undefined };
  /** Slices on as many threads as they need. @returns the thread of each */
  const draw = (pid: number, first: number, title: string, slices: readonly Drawn[]): number[] => {
    const lanes = lanesOf(slices);
    return slices.map(({ begin, end, name, cat, args }, i) => {
      const tid = first + lanes[i]!;
      nameOf(pid, tid, lanes[i] === 0 ? title : `${title} ${lanes[i]! + 1}`);
      const ts = microseconds(begin);
      // By rounded ends, so that slices that end together still do.
      const dur = Math.max(0, Math.round((microseconds(end) - ts) * 1e3) / 1e3);
      events.push({ ph: 'X', name, cat, ts, dur, pid, tid, ...(args === undefined ? {} : { args }) });
      return tid;
    });
  };

  process(JAVASCRIPT, 'JavaScript');
  const all = recorded.flatMap(({ ended }) => ended);
  const calledAt = new Map(all.map((each, i) => [each, i]));
  const scopes = recorded.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'scope'));
  draw(
    JAVASCRIPT,
    LANES.scopes,
    'scopes',
    scopes.map((scope) => ({ ...scope, cat: 'scope' })),
  );
  const encodes = recorded.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'encode'));
  const steps = all.flatMap(({ commands }) => commands.filter(({ clock }) => clock === 'host'));
  const calls = draw(JAVASCRIPT, LANES.javascript, 'encode and submit', [
    ...all.map(({ begin, end, id, commands, failed }) => {
      return { name: 'submit', cat: 'submit', begin, end, args: { submission: id, commands: commands.length, failed } };
    }),
    ...encodes.map((span) => ({ ...span, cat: 'encode' })),
    ...steps.map((step) => ({ ...step, cat: 'host' })),
  ]);
  // There may be hundreds in flight: asynchronous events, which viewers stack as they need.
  all.forEach(({ end, done, id }, i) => {
    const common = { name: 'await', cat: 'await', id: i + 1, pid: JAVASCRIPT, tid: LANES.javascript } as const;
    events.push({ ph: 'b', ...common, ts: microseconds(end), args: { submission: id } });
    events.push({ ph: 'e', ...common, ts: microseconds(Math.max(done, end)) });
  });

  recorded.forEach(({ name, ended }, device) => {
    const pid = JAVASCRIPT + 1 + device;
    process(pid, name);
    const ran = ended.flatMap((submission) => {
      // Launches of empty problems have no times.
      const launches = submission.commands.filter(({ clock, begin, end }) => clock === 'device' && end > begin);
      return launches.length === 0 ? [] : [{ submission, launches }];
    });
    const offsets = alignClocks(
      ran.map(({ submission: { begin, done }, launches }) => {
        return { submitted: begin, done, begin: launches[0]!.begin, end: launches.at(-1)!.end };
      }),
    );
    const slices = ran.flatMap(({ submission, launches }, i) =>
      launches.map((launch, nth) => ({
        name: launch.name,
        cat: 'kernel',
        begin: launch.begin + offsets[i]!,
        end: launch.end + offsets[i]!,
        args: { ...launch.args, submission: submission.id },
        flow: nth === 0 ? submission : null,
      })),
    );
    const threads = draw(pid, 0, 'launches', slices);
    slices.forEach(({ flow, begin }, i) => {
      if (flow === null) return;
      // An arrow from the submit to its first launch. Ids are unique over all devices.
      const id = flow.id * recorded.length + device;
      const from = calls[calledAt.get(flow)!]!;
      const common = { name: 'submit', cat: 'flow', id } as const;
      events.push({ ph: 's', ...common, ts: microseconds(flow.begin), pid: JAVASCRIPT, tid: from });
      events.push({ ph: 'f', bp: 'e', ...common, ts: microseconds(begin), pid, tid: threads[i]! });
    });
  });

  const dropped = recorded.reduce((sum, each) => sum + each.dropped, 0);
  return {
    displayTimeUnit: 'ms',
    traceEvents: events,
    otherData: {
      begin: new Date(performance.timeOrigin + start).toISOString(),
      node: globalThis.process.versions.node,
      devices: recorded.map(({ name }) => name),
      dropped,
    },
  };
}

/** Write one trace of several devices, once what was submitted to them has ended. @throws ERR_FILE */
export async function saveTrace(path: string, traces: readonly DeviceTrace[]): Promise<void> {
  for (const trace of traces) await trace.settled();
  const unfinished = `${path}.${globalThis.process.pid}.part`;
  try {
    await writeFile(unfinished, JSON.stringify(chromeTrace(traces)));
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true });
    const message = `Cannot write the trace ${path}: ${(cause as Error).message}.`;
    throw new TilewrightError('ERR_FILE', message, { details: { path }, cause });
  }
}
