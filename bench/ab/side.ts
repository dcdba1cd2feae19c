import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MatmulVariant } from '../../ts/dispatch/args.ts';
import { type ErrorCode, TilewrightError } from '../../ts/errors.ts';
import type { Environment } from '../info/environment.ts';
import type { Sampler } from '../suites/measure.ts';
import { AB_PROTOCOL, type Answers, type Reply, type Request } from './protocol.ts';

/** One of the two things that are compared: a build, with options of its own. */
export interface SideSpec {
  /** As it was given. */
  readonly label: string;
  /** Folder of the package whose build runs; null for this one. */
  readonly folder: string | null;
  /** Options that this side has besides the common ones. */
  readonly argv: readonly string[];
  /** For tests: see `Session.extraWork`. */
  readonly extraWork?: number;
}

/**
 * Reads what a side is given as: words of `option=value`, names of kernel families (short for `variant=…`), and at most
 * one folder of a package that was built.
 */
export function parseSide(label: string): SideSpec {
  let folder: string | null = null;
  const argv: string[] = [];
  for (const word of label.split(/\s+/).filter((part) => part !== '')) {
    const [, option, value] = /^([a-z][a-z-]*)=(.*)$/.exec(word) ?? [];
    if (option !== undefined) argv.push(`--${option}`, value!);
    else if (Object.hasOwn(MatmulVariant, word)) argv.push('--variant', word);
    else if (folder === null && existsSync(join(word, 'package.json'))) folder = resolve(word);
    else {
      throw new TilewrightError(
        'ERR_USAGE',
        `"${word}" is not an option=value, a kernel family (${Object.keys(MatmulVariant).join(', ')}), or the folder of a ` +
          'tilewright package.',
      );
    }
  }
  return { label: label.trim() === '' ? 'default' : label, folder, argv };
}

/** The worker of a build: of this one, from the sources or from dist, whichever runs. */
function workerOf(folder: string | null): string {
  if (folder === null)
    return fileURLToPath(new URL(`worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url));
  const path = join(folder, 'dist/bench/ab/worker.js');
  if (existsSync(path)) return path;
  throw new TilewrightError(
    'ERR_USAGE',
    `${folder} has no ${path.slice(folder.length + 1)}: build it there (npm run build); versions before A/B runs have none.`,
  );
}

/** A side that runs, in a process of its own. */
export class Side implements Disposable {
  readonly spec: SideSpec;
  readonly #child: ChildProcess;
  #environment: Environment | null = null;
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | null = null;
  #failure: TilewrightError | null = null;

  private constructor(spec: SideSpec, child: ChildProcess) {
    this.spec = spec;
    this.#child = child;
    child.on('message', (reply: Reply) => {
      this.#waiting?.resolve(reply);
      this.#waiting = null;
    });
    child.on('error', (error) => this.#fail(error.message));
    child.on('exit', (code, signal) => this.#fail(`its process ended (${signal ?? code})`));
  }

  #fail(why: string): void {
    this.#failure ??= new TilewrightError('ERR_NATIVE_FAILURE', `Side "${this.spec.label}": ${why}.`);
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }

  static async open(spec: SideSpec, suite: string, common: readonly string[]): Promise<Side> {
    const worker = workerOf(spec.folder);
    const child = fork(worker, [], {
      execArgv: worker.endsWith('.ts') ? ['--import', 'tsx'] : [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const side = new Side(spec, child);
    try {
      const argv = [...common, ...spec.argv];
      const { environment } = await side.#ask({
        type: 'open',
        protocol: AB_PROTOCOL,
        suite,
        argv,
        ...(spec.extraWork === undefined ? {} : { extraWork: spec.extraWork }),
      });
      side.#environment = environment;
      return side;
    } catch (error) {
      side[Symbol.dispose]();
      throw error;
    }
  }

  get environment(): Environment {
    return this.#environment!;
  }

  async #ask<R extends Request>(request: R): Promise<Answers[R['type']]> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      this.#waiting = { resolve, reject };
      this.#child.send(request);
    });
    if (reply.type === 'answer') return reply.answer as Answers[R['type']];
    throw new TilewrightError(reply.code as ErrorCode, `Side "${this.spec.label}": ${reply.message}`);
  }

  /** Prepares the next case. @returns its name, null if there is none */
  async next(): Promise<string | null> {
    return (await this.#ask({ type: 'next' })).name;
  }

  /** The case at hand, to be measured in turns with that of another side. */
  sampler(): Sampler {
    const told = { batch: 1, copies: 1 };
    return {
      get batch() {
        return told.batch;
      },
      get copies() {
        return told.copies;
      },
      warmUp: async () => {
        const { warmUp, batch, copies } = await this.#ask({ type: 'warm up' });
        Object.assign(told, { batch, copies });
        return warmUp;
      },
      probe: async () => (await this.#ask({ type: 'probe' })).reading,
      round: async () => (await this.#ask({ type: 'round' })).round,
    };
  }

  [Symbol.dispose](): void {
    this.#failure ??= new TilewrightError('ERR_DISPOSED', 'This side was closed.');
    if (this.#child.connected) this.#child.disconnect();
  }
}
