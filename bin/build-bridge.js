// Builds the Metal bridge on a Mac from the sources in the package: part of `npx tilewright build`, and of packing.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writable } from './build-native.js';
import { nativeCacheFolder, nativeTarget } from './native-target.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The bridge's file, beside tilewright.node. */
export const BRIDGE_FILE = 'tilewright-metal.node';
/** node-swift needs it. */
const OLDEST_SWIFT = 6;

/** Why the bridge cannot be built here; null when it can. */
export function bridgeProblem() {
  if (process.platform !== 'darwin') return 'the Metal bridge is for macOS';
  const answer = (command, ...args) => spawnSync(command, args, { encoding: 'utf8' });
  // Without the developer tools, macOS has a `swift` that only opens a dialogue.
  if (answer('xcode-select', '-p').status !== 0) return 'install the Command Line Tools: xcode-select --install';
  const version = /Swift version (\d+)/.exec(answer('swift', '--version').stdout ?? '')?.[1];
  if (Number(version) >= OLDEST_SWIFT) return null;
  return `Swift ${OLDEST_SWIFT} is needed, and this is ${version ?? 'none'}: update the Command Line Tools`;
}

/**
 * Runs SwiftPM and resolves with the path of the bridge. The first build fetches node-swift and swift-syntax, and takes
 * minutes; Xcode is not needed, as shaders are compiled when a device first runs them.
 *
 * @param {object} [options]
 * @param {boolean} [options.quiet] shows errors alone
 */
export async function buildBridge({ quiet = false } = {}) {
  const problem = bridgeProblem();
  if (problem !== null) throw new Error(problem);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const folder = writable(root) ? join(root, 'build', nativeTarget()) : nativeCacheFolder(version);
  if (folder === null) throw new Error(`${root} cannot be written, and there is no home folder to build in instead.`);
  const scratch = writable(root) ? join(root, 'build', 'swift') : join(folder, 'swift');
  const args = ['build', '-c', 'release', '--product', 'MetalBridge', '--scratch-path', scratch];
  const swift = spawn('swift', args, { cwd: root, stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'] });
  const code = await new Promise((resolve, reject) => {
    swift.on('error', reject);
    swift.on('exit', (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new Error(`swift build ended with ${code}; the compiler's messages are above.`);
  mkdirSync(folder, { recursive: true });
  // A process that has the old one loaded keeps it.
  const path = join(folder, BRIDGE_FILE);
  copyFileSync(join(scratch, 'release', 'libMetalBridge.dylib'), `${path}.${process.pid}`);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}
