import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// One seed for the random cases of all files; a failing run is repeated with TILEWRIGHT_SEED=<the printed number>.
const seed = process.env.TILEWRIGHT_SEED ?? String(randomInt(2 ** 31));
console.log(`random cases: TILEWRIGHT_SEED=${seed}`);

const onGpu = process.env.TILEWRIGHT_TEST_GPU === '1';

// The examples in docs/ import the package by its name, as users do; here that means the sources.
const resolve = { alias: { tilewright: fileURLToPath(new URL('ts/index.ts', import.meta.url)) } };
// Not inherited with `extends`, which would evaluate this file, and draw a seed, once per project.
const common = {
  // A fresh process per file: the addon keeps threads and memory of its own.
  pool: 'forks',
  // What was tuned on this machine is nobody's business in tests.
  env: { TILEWRIGHT_SEED: seed, TILEWRIGHT_TUNING: 'off' },
  setupFiles: ['test/setup/seed.ts'],
} as const;

export default defineConfig({
  test: {
    // vitest leaves one core to itself; on a machine of two that would be half of it, and most tests wait for compilers.
    maxWorkers: availableParallelism(),
    projects: [
      {
        resolve,
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/package/**',
            'test/testbed/**',
            'test/metal/**',
            'test/hip/**',
            'test/backends/metal/**',
            'test/hip-backend/**',
            'test/bridge/**',
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        test: {
          ...common,
          // Loads the Metal bridge that was built; runs where Swift is.
          name: 'bridge',
          include: ['test/bridge/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve,
        test: {
          ...common,
          // The ops and the dispatcher once more, on the Metal back end: over the test bed, or a bridge that
          // TILEWRIGHT_METAL names.
          name: 'metal',
          env: { ...common.env, TILEWRIGHT_TEST_BACKEND: 'metal' },
          include: ['test/{dispatch,ops,device,backends/metal}/**/*.test.ts'],
          exclude: ['test/device/process.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        resolve,
        test: {
          ...common,
          // The same on the HIP back end: over the software device, or the machine's GPU (scripts/gpu-tests.mjs).
          name: 'hip',
          env: { ...common.env, TILEWRIGHT_TEST_BACKEND: 'hip' },
          include: ['test/{dispatch,ops,device}/**/*.test.ts', ...(onGpu ? [] : ['test/hip-backend/**/*.test.ts'])],
          exclude: ['test/device/process.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        resolve,
        test: {
          ...common,
          // Compiles shaders and runs them in processes of its own; needs clang 19.
          name: 'testbed',
          include: ['test/{testbed,metal,hip}/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          ...common,
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // They install packages and compile the addon: one file after the other.
          fileParallelism: false,
        },
      },
    ],
  },
});
