// The compiled HIP kernels that the package ships: all targets, which LLVM 19 compiles without a GPU.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, root, run, say, seconds, tool } from './steps.mjs';

const COMPILER = process.env.TILEWRIGHT_CLANGXX ?? 'clang++-19';

/**
 * Makes build/hip/bundle. TILEWRIGHT_HIP_BUILD replaces what is passed to `npm run build:hip` (`--targets gfx1100`);
 * `none` leaves the kernels out. What has not changed since it was compiled is not compiled again.
 *
 * @returns {Promise<boolean>} whether there is a bundle; without one, why is said
 */
export async function bundleKernels() {
  const choice = process.env.TILEWRIGHT_HIP_BUILD ?? '';
  const missing =
    choice === 'none'
      ? 'TILEWRIGHT_HIP_BUILD is none'
      : (await works(COMPILER)) && (await works('ld.lld-19', 'ld.lld'))
        ? null
        : `${COMPILER} or lld is missing (Debian: clang-19 and lld-19)`;
  if (missing !== null) {
    // A bundle of an earlier build may be of other sources.
    rmSync(join(root, 'build/hip/bundle'), { recursive: true, force: true });
    say(`packed WITHOUT HIP kernels: ${missing}. The HIP back end of this package finds no code objects.`);
    return false;
  }
  const begin = performance.now();
  say(`compiling HIP kernels${choice === '' ? ' for all targets: minutes the first time' : ` (${choice})`}`);
  const output = await mustRun(
    'The HIP kernels',
    ...tool('tsx', 'scripts/hip/build.ts', '--bundle', ...choice.split(/\s+/).filter(Boolean)),
  );
  for (const line of output.trim().split('\n')) say(line);
  say(`HIP kernels ready in ${seconds(begin)}`);
  return true;
}

/** One of the tools runs. */
async function works(...names) {
  for (const name of names) {
    if ((await run(name, ['--version'])).ok) return true;
  }
  return false;
}
