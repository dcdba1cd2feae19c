// What the scripts need from the system: a C++ compiler and make, and for the tests a cross-compiler and an emulator.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildNative, findToolchain } from '../bin/build-native.js';
import { Failure, run, say, seconds } from './steps.mjs';

export function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

let updated = false;

/**
 * Installs Debian packages if this process may: as root, where apt-get is, and unless TILEWRIGHT_NO_APT is set.
 * @returns {Promise<string | null>} why not, or null
 */
export async function aptInstall(packages) {
  const command = `apt-get install ${packages.join(' ')}`;
  if (!onPath('apt-get')) return `install ${packages.join(' and ')}`;
  if (process.env.TILEWRIGHT_NO_APT) return `TILEWRIGHT_NO_APT is set; install with: ${command}`;
  if (process.getuid?.() !== 0) return `install with: sudo ${command}`;
  say(`installing ${packages.join(' ')} with apt-get (root on Debian; TILEWRIGHT_NO_APT=1 forbids it)`);
  const begin = performance.now();
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 };
  const install = () => run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  if (!updated) await run('apt-get', ['update', '-qq'], options);
  updated = true;
  const { ok, output } = await install();
  if (!ok) return `${command} failed: ${output.trim().split('\n').at(-1)}`;
  say(`installed in ${seconds(begin)}`);
  return null;
}

/** Makes sure of a compiler and make. */
export async function needToolchain() {
  let { problem } = findToolchain();
  if (problem === undefined) return;
  if (!process.env.CXX && (await aptInstall(['g++', 'make'])) === null) ({ problem } = findToolchain());
  if (problem !== undefined) throw new Failure(problem);
}

/**
 * Makes sure of a cross-compiler and an emulator for arm64.
 * @returns {Promise<string | null>} why they are not there, or null
 */
export async function needArm() {
  const present = () => onPath('aarch64-linux-gnu-g++') && onPath('qemu-aarch64');
  if (present()) return null;
  const problem = await aptInstall(['g++-aarch64-linux-gnu', 'qemu-user']);
  return problem ?? (present() ? null : 'aarch64-linux-gnu-g++ or qemu-aarch64 is missing after installing them');
}

/**
 * Makes sure of the compiler of the Metal test bed.
 * @returns {Promise<string | null>} why it is not there, or null
 */
export async function needClang() {
  if (onPath('clang-19') || process.env.TILEWRIGHT_CLANG) return null;
  const problem = await aptInstall(['clang-19']);
  return problem ?? (onPath('clang-19') ? null : 'clang-19 is missing after installing it');
}

/**
 * Makes sure of what compiles GPU kernels to code objects: clang and LLVM's linker.
 * @returns {Promise<string | null>} why they are not there, or null
 */
export async function needGpuCompiler() {
  if (onPath('clang++-19') && onPath('ld.lld-19')) return null;
  const problem = await aptInstall(['clang-19', 'lld-19']);
  return problem ?? (onPath('ld.lld-19') ? null : 'lld-19 is missing after installing it');
}

/**
 * Makes sure of a browser for the pages that the package writes.
 * @returns {Promise<string | null>} why there is none, or null
 */
export async function needChromium() {
  const present = () => ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].some(onPath);
  if (process.env.TILEWRIGHT_CHROMIUM || process.platform === 'darwin' || present()) return null;
  const problem = await aptInstall(['chromium']);
  return problem ?? (present() ? null : 'chromium is missing after installing it');
}

/** buildNative, whose failures are for the person at the terminal. */
export async function build(options) {
  try {
    return await buildNative(options);
  } catch (error) {
    throw new Failure(error.message);
  }
}
