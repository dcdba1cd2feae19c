// Running commands and saying so: used by all scripts here. Progress goes to stderr, results to stdout.
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** An error that is meant for the person at the terminal: shown without a stack. */
export class Failure extends Error {}

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs a command. Resolves with its exit status and what it printed (nothing for `show`, which lets it print;
 * without its errors for `stderr: false`, unless it fails).
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ show?: boolean, stderr?: boolean, cwd?: string, env?: Record<string, string>, timeout?: number }} [options]
 * @returns {Promise<{ ok: boolean, status: number | string, output: string }>} status: a signal's name if one ended it
 */
export function run(command, args, { show = false, stderr = true, cwd = root, env = {}, timeout } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', ...(show ? ['inherit', 'inherit'] : ['pipe', 'pipe'])],
      timeout,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk) => (output += chunk));
    child.stderr?.setEncoding('utf8').on('data', (chunk) => {
      if (stderr) output += chunk;
      else errors += chunk;
    });
    child.on('error', (error) =>
      error.code === 'ENOENT' ? resolve({ ok: false, status: 'not found', output: '' }) : reject(error),
    );
    child.on('close', (code, signal) =>
      resolve({ ok: code === 0, status: code ?? signal, output: code === 0 ? output : output + errors }),
    );
  });
}

/** Like {@link run}; a failure ends the script with what the command printed. */
export async function mustRun(what, command, args, options) {
  const { ok, status, output } = await run(command, args, options);
  if (!ok) throw new Failure(`${output}${what} failed (${status}).`);
  return output;
}

const TOOLS = {
  biome: '@biomejs/biome/bin/biome',
  tsc: 'typescript/bin/tsc',
  tsx: 'tsx/dist/cli.mjs',
  vitest: 'vitest/vitest.mjs',
};

/**
 * Command and arguments that run npm: npm tells its scripts where it is; other package managers do so too, but are not
 * what is meant.
 */
export function npm(...args) {
  const path = process.env.npm_execpath;
  return path && basename(path) === 'npm-cli.js' ? [process.execPath, [path, ...args]] : ['npm', args];
}

/** Command and arguments that run a tool of node_modules: without npx, which takes half a second. */
export const tool = (name, ...args) => [process.execPath, [`${root}node_modules/${TOOLS[name]}`, ...args]];

export function say(line) {
  process.stderr.write(`tilewright: ${line}\n`);
}

/** The body of a script: failures are printed without a stack and end it with status 1. */
export async function main(body) {
  try {
    const [major, minor] = process.versions.node.split('.').map(Number);
    if (major < 20 || (major === 20 && minor < 19)) {
      throw new Failure(`Node ${process.versions.node} is too old: 20.19 or newer is needed.`);
    }
    await body();
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    process.exitCode = 1;
  }
}
