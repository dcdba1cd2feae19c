// The kernels' own test programs (test/native), one per instruction set: on this machine, and for arm64 in an emulator.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { nativeTarget } from '../bin/native-target.js';
import { root, run, say, seconds } from './steps.mjs';
import { build, needArm } from './toolchain.mjs';

/** A program that hangs must not hang the tests; emulated ones are some twenty times slower. */
const TIMEOUT_MS = 300_000;

/** Builds the programs into `out` and runs those of `isas`, as many at once as there are cores. */
async function runPrograms({ out, cxx, variables = [], isas, emulator = [] }) {
  await build({
    target: 'native-test-programs',
    out,
    cxx,
    variables,
    log: (line) => say(`native tests: ${line}`),
  });
  const folder = join(root, out, 'tests');
  const programs = readdirSync(folder).filter((name) => isas.includes(name.split('.').at(-1)) && !name.endsWith('.d'));
  const total = { passed: 0, failed: 0 };
  const seed = process.env.TILEWRIGHT_SEED ? [process.env.TILEWRIGHT_SEED] : [];
  const queue = [...programs];
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        const begin = performance.now();
        const [command, ...args] = [...emulator, join(folder, name), ...seed];
        const outcome = await run(command, args, { timeout: TIMEOUT_MS });
        // Its last line counts its checks; here, as in vitest, a program of many random cases is one test.
        const [checks] = outcome.output.trim().split('\n').slice(-1);
        if (outcome.ok) total.passed++;
        else total.failed++;
        console.log(`  ${outcome.ok ? '✓' : '✗'} ${name}: ${outcome.ok ? checks : outcome.status} (${seconds(begin)})`);
        if (!outcome.ok) console.log(outcome.output);
      }
    }),
  );
  return total;
}

/** Tests of every instruction set in the addon that this machine has. */
export async function testThisMachine() {
  const out = `build/${nativeTarget()}`;
  const isas = createRequire(import.meta.url)(join(root, out, 'tilewright.node')).isas();
  const total = await runPrograms({ out, isas: isas.filter((isa) => isa.supported).map((isa) => isa.name) });
  const skipped = isas
    .filter((isa) => !isa.supported)
    .map((isa) => ({ name: `kernels for ${isa.name}`, reason: 'this processor does not have it' }));
  return { ...total, skipped };
}

/** Tests of the arm64 kernels on another processor. */
export async function testArmEmulated() {
  const reason = process.arch === 'arm64' ? 'already run on this processor' : await needArm();
  if (reason !== null) return { passed: 0, failed: 0, skipped: [{ name: 'emulated arm64 kernels', reason }] };
  const total = await runPrograms({
    out: 'build/cross-arm64',
    target: 'check-isa native-test-programs',
    cxx: 'aarch64-linux-gnu-g++',
    // Static, so that the emulator needs no arm64 libraries.
    variables: ['NM=aarch64-linux-gnu-nm', 'LDFLAGS=-static'],
    isas: ['neon', 'dotprod', 'i8mm'],
    emulator: ['qemu-aarch64', '-cpu', 'max'],
  });
  return { ...total, skipped: [] };
}
