// Tests on this machine's GPU, whatever driver it has: `node scripts/gpu-tests.mjs [--only ops,exercise,…]`:
// ops, exercise, overhead and compute-sanitizer's memcheck, racecheck, synccheck and initcheck.
// Needs a checkout with its development dependencies, the addon (`npm run build`) and compiled kernels
// (`npm run build:hip`, or a folder of them in TILEWRIGHT_HIP_OBJECTS).
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = (script) => [process.execPath, '--import', 'tsx', script];
const exercise = node('scripts/gpu/exercise.ts');
const sanitizer = (tool) => ['compute-sanitizer', '--tool', tool, '--error-exitcode', '9', ...exercise];
const STEPS = {
  ops: [
    'ops, dispatcher and device tests',
    [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--project', 'hip'],
  ],
  exercise: ['every kernel family beside the CPU', exercise],
  overhead: ['cost of a launch', node('scripts/gpu/overhead.ts')],
  ...Object.fromEntries(
    ['memcheck', 'racecheck', 'synccheck', 'initcheck'].map((tool) => [
      tool,
      [`compute-sanitizer ${tool}`, sanitizer(tool)],
    ]),
  ),
};

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
const names = only?.split(',') ?? Object.keys(STEPS);
const unknown = names.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`There is no step ${unknown.join(', ')}: they are ${Object.keys(STEPS).join(', ')}.`);
  process.exit(2);
}
let failed = 0;
for (const name of names) {
  const [title, [program, ...args]] = STEPS[name];
  console.log(`\n▶ ${title}`);
  const begin = performance.now();
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TILEWRIGHT_TEST_GPU: '1' },
  });
  const seconds = `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  if (error?.code === 'ENOENT') console.log(`– ${title}: ${program} is not on this machine`);
  else if (status === 0) console.log(`✓ ${title} (${seconds})`);
  else {
    failed++;
    console.log(`✗ ${title}: exit ${status} (${seconds})`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
