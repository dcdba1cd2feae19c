import { cpus } from 'node:os';

interface Reading {
  /** Milliseconds that all cores together have worked, and worked or idled. */
  readonly busy: number;
  readonly all: number;
  /** Milliseconds that this process has worked, on all its threads. */
  readonly own: number;
}

function read(): Reading {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const work = times.user + times.nice + times.sys + times.irq;
    busy += work;
    all += work + times.idle;
  }
  const { user, system } = process.cpuUsage();
  return { busy, all, own: (user + system) / 1000 };
}

/** Tells how much of the machine others took meanwhile: a figure measured beside a compiler is not worth much. */
export class LoadMeter {
  readonly #start = read();

  /** Share of all cores that other processes used since the start, 0 to 1. */
  others(): number {
    const now = read();
    const all = now.all - this.#start.all;
    const others = now.busy - this.#start.busy - (now.own - this.#start.own);
    return all > 0 ? Math.min(Math.max(others / all, 0), 1) : 0;
  }
}
