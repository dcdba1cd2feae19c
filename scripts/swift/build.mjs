// Builds the Metal bridge, the module that Node loads.
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { nativeTarget } from '../../bin/native-target.js';
import { Failure, root, run, say, seconds } from '../steps.mjs';
import { swiftEnvironment, withSwift } from './toolchain.mjs';

/** SwiftPM's folder, below the checkout. */
export const SCRATCH = 'build/swift';

/** Arguments of SwiftPM's commands. Optimized where the bridge is for use; on Linux it is for tests. */
export const swiftArguments = () => [
  ...['--scratch-path', SCRATCH],
  ...(process.platform === 'darwin' ? ['-c', 'release'] : []),
];

/** Runs a command where Swift is. */
export function runSwift(swift, command, args, options = {}) {
  return run(...withSwift(swift, command, ...args), {
    ...options,
    env: { ...swiftEnvironment(swift), ...options.env },
  });
}

/**
 * Builds build/<target>/tilewright-metal.node.
 * @param {string[]} [others] products to build beside it
 * @returns {Promise<string>} its path
 */
export async function buildBridge(swift, others = []) {
  const begin = performance.now();
  let ok = true;
  let output = '';
  for (const product of ['MetalBridge', ...others]) {
    if (ok) ({ ok, output } = await runSwift(swift, 'swift', ['build', ...swiftArguments(), '--product', product]));
  }
  if (!ok) {
    const errors = output.split('\n').filter((line) => /(^|: )error: /.test(line));
    throw new Failure(`${errors.length > 0 ? errors.join('\n') : output}\nThe Metal bridge does not build.`);
  }
  const [folder, library] = process.platform === 'darwin' ? ['release', 'dylib'] : ['debug', 'so'];
  const target = join(root, 'build', nativeTarget());
  mkdirSync(target, { recursive: true });
  // A process that has the old one loaded keeps it.
  const path = join(target, 'tilewright-metal.node');
  copyFileSync(join(root, SCRATCH, folder, `libMetalBridge.${library}`), `${path}.new`);
  renameSync(`${path}.new`, path);
  say(`Metal bridge built in ${seconds(begin)}`);
  return path;
}
