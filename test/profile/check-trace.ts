import type { ChromeTrace, TraceEvent } from '../../ts/profile/trace.ts';

/** Rounding to nanoseconds, in microseconds. */
const TOLERANCE = 0.02;

type Complete = TraceEvent & { readonly ts: number; readonly dur: number };

/**
 * What is wrong with a trace by the published rules of the Chrome trace event format: fields by phase, metadata that name
 * every process and thread, slices of a thread that nest, flows that begin and end within slices.
 */
export function traceProblems(trace: ChromeTrace): string[] {
  const problems: string[] = [];
  const { traceEvents } = JSON.parse(JSON.stringify(trace)) as ChromeTrace;
  const key = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`;
  const threads = new Set<string>();
  const processes = new Set<number>();
  const slices = new Map<string, Complete[]>();
  const flows = new Map<number, TraceEvent[]>();
  /** When what is under way began; infinite once it has ended. */
  const waits = new Map<number, number>();
  for (const event of traceEvents) {
    const { ph, name, pid, tid, ts, dur, id } = event;
    const say = (what: string) => problems.push(`${what}: ${JSON.stringify(event)}`);
    if (typeof name !== 'string' || name === '') say('no name');
    if (!Number.isInteger(pid) || !Number.isInteger(tid)) say('pid and tid are whole numbers');
    if (ph === 'M') {
      const value = event.args?.name ?? event.args?.sort_index;
      if (name === 'process_name') processes.add(pid);
      else if (name === 'thread_name') threads.add(key(event));
      else if (!['process_sort_index', 'thread_sort_index'].includes(name)) say('unknown metadata');
      if (typeof value !== (name.endsWith('_name') ? 'string' : 'number')) say('metadata without its argument');
      continue;
    }
    if (!Number.isFinite(ts) || ts! < 0) say('no time');
    if (ph === 'X') {
      if (!Number.isFinite(dur) || dur! < 0) say('no duration');
      slices.set(key(event), [...(slices.get(key(event)) ?? []), event as Complete]);
    } else if (ph === 'b' || ph === 'e') {
      const begun = waits.get(id!);
      if (!Number.isInteger(id) || typeof event.cat !== 'string') say('an asynchronous event without id or category');
      if (ph === 'b' ? begun !== undefined : begun === undefined || begun > ts!) say('no pair of asynchronous events');
      waits.set(id!, ph === 'b' ? ts! : Number.POSITIVE_INFINITY);
    } else if (ph === 's' || ph === 'f') {
      if (!Number.isInteger(id)) say('a flow without an id');
      flows.set(id!, [...(flows.get(id!) ?? []), event]);
    } else say('unknown phase');
  }
  for (const [thread, own] of slices) {
    if (!threads.has(thread)) problems.push(`thread ${thread} has no name`);
    if (!processes.has(Number(thread.split(' ')[0]))) problems.push(`the process of thread ${thread} has no name`);
    const open: Complete[] = [];
    for (const slice of own.sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
      while (open.length > 0 && open.at(-1)!.ts + open.at(-1)!.dur <= slice.ts + TOLERANCE) open.pop();
      const outer = open.at(-1);
      if (outer !== undefined && slice.ts + slice.dur > outer.ts + outer.dur + TOLERANCE) {
        problems.push(`${slice.name} at ${slice.ts} overlaps ${outer.name} on thread ${thread}`);
      }
      open.push(slice);
    }
  }
  for (const [id, begun] of waits) if (Number.isFinite(begun)) problems.push(`asynchronous event ${id} does not end`);
  for (const [id, events] of flows) {
    const [from, to] = events;
    if (events.length !== 2 || from!.ph !== 's' || to!.ph !== 'f') problems.push(`flow ${id} is no pair`);
    for (const event of events) {
      const around = (slices.get(key(event)) ?? []).some(
        ({ ts, dur }) => ts <= event.ts! + TOLERANCE && event.ts! <= ts + dur + TOLERANCE,
      );
      if (!around) problems.push(`an end of flow ${id} is in no slice`);
    }
    if (from!.ts! > to!.ts! + TOLERANCE) problems.push(`flow ${id} goes back in time`);
  }
  return problems;
}
