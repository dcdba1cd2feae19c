// Empty projects outside the checkout, to install tarballs into.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const checkout = fileURLToPath(new URL('../..', import.meta.url));

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What npm tells its scripts about this checkout is not for the npm that runs in another project. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local)|^TILEWRIGHT/.test(name)),
);

export function execute(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...environment, ...options.env };
    execFile(command, args, { cwd: options.cwd ?? checkout, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, stdout, stderr }),
    );
  });
}

/** Resolves with stdout; rejects with all output. */
export async function mustExecute(...args: Parameters<typeof execute>): Promise<string> {
  const { ok, stdout, stderr } = await execute(...args);
  if (!ok) throw new Error(`${args[0]} ${args[1].join(' ')} failed:\n${stdout}${stderr}`);
  return stdout;
}

export class Project {
  readonly folder: string;
  /** Without the user's own cache folder, in which a binary may lie. */
  readonly #env: Record<string, string>;

  private constructor(folder: string) {
    this.folder = folder;
    this.#env = { XDG_CACHE_HOME: join(folder, '.cache') };
  }

  static async create(): Promise<Project> {
    const project = new Project(await mkdtemp(join(tmpdir(), 'tilewright-project-')));
    await project.write('package.json', JSON.stringify({ name: 'project', version: '1.0.0', type: 'module' }));
    return project;
  }

  write(name: string, text: string): Promise<void> {
    return writeFile(join(this.folder, name), text);
  }

  install(...tarballs: readonly string[]): Promise<string> {
    return this.run('npm', 'install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs);
  }

  run(command: string, ...args: readonly string[]): Promise<string> {
    return mustExecute(command, args, { cwd: this.folder, env: this.#env });
  }

  /** Runs a module of the project whose outcome the caller judges. */
  async node(source: string, env: Record<string, string> = {}): Promise<Outcome> {
    await this.write('main.js', source);
    return execute(process.execPath, ['main.js'], { cwd: this.folder, env: { ...this.#env, ...env } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
