import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs node on the sources; its output goes into pipes, so no terminal is there. */
export function runNode(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Run> {
  const { FORCE_COLOR: _, ...plain } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
      cwd: root,
      env: { ...plain, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** A program of the package, as its bin runs it, but from the sources. */
export function runCli(program: 'tilewright' | 'bench', ...args: readonly string[]): Promise<Run> {
  const start = `import('./bench/cli/main.ts').then(({ main }) => main('${program}', process.argv.slice(1)))`;
  return runNode(['--eval', start, '--', ...args]);
}
