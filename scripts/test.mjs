// `npm test`: everything that must hold before a change goes in. `npm test -- --only vitest,types` runs some of it.
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { testArmEmulated, testThisMachine } from './native-tests.mjs';
import { setUp } from './setup.mjs';
import { Failure, main, mustRun, root, run, seconds, tool } from './steps.mjs';
import { buildBridge, runSwift } from './swift/build.mjs';
import { testSwift } from './swift/tests.mjs';
import { needSwift } from './swift/toolchain.mjs';
import { aptInstall, build, needChromium, needClang, needGpuCompiler, onPath } from './toolchain.mjs';

/** The random cases of all tests come from it; vitest.config.ts and the native tests read it. */
process.env.TILEWRIGHT_SEED ??= String(randomInt(2 ** 31));

/** Formatting differs between versions: this one is Debian 12's. */
const CLANG_FORMAT = 14;
/** Those of test/testbed/kernels are as they are: their tests name lines. */
const HIP_SOURCES = ['hip/*.hip', 'bench/hip/*.hip'];
const GENERATED_HEADER = 'Sources/KernelABI/include/tilewright/params.h';

/** A command that passes or fails as a whole. */
const gate = (what, command, args) => async () => {
  await mustRun(what, command, args);
  return { passed: 1, failed: 0, skipped: [] };
};

async function clangFormat() {
  const skip = (reason) => ({ passed: 0, failed: 0, skipped: [{ name: 'clang-format', reason }] });
  const names = [`clang-format-${CLANG_FORMAT}`, 'clang-format'];
  if (!names.some(onPath)) {
    const missing = await aptInstall([names[0]]);
    if (missing !== null) return skip(missing);
  }
  const found = names.find(onPath);
  const version = /version (\d+)/.exec((await run(found, ['--version'])).output)?.[1];
  if (Number(version) !== CLANG_FORMAT) return skip(`${found} is version ${version}, not ${CLANG_FORMAT}`);
  const listed = await mustRun('git ls-files', 'git', [
    'ls-files',
    '-z',
    '*.h',
    '*.cpp',
    ...HIP_SOURCES,
    `:!${GENERATED_HEADER}`,
  ]);
  const files = listed.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
  const { ok, output } = await run(found, ['--dry-run', '-Werror', ...files]);
  if (ok) return { passed: 1, failed: 0, skipped: [] };
  const wrong = new Set([...output.matchAll(/^(.+?):\d+:\d+: error/gm)].map(([, file]) => file));
  throw new Failure(wrong.size > 0 ? `Format them with: ${found} -i ${[...wrong].join(' ')}` : output);
}

async function checkIsa() {
  await build({ target: 'check-isa', log() {} });
  return { passed: 1, failed: 0, skipped: [] };
}

/** Skipped tests by what they need, which their titles tell (test/support/where.ts). */
function skippedTests(tests) {
  const counts = new Map();
  for (const { ancestorTitles, title, fullName } of tests) {
    const block = [...ancestorTitles, title].find((text) => text.includes('(needs ')) ?? fullName;
    counts.set(block, (counts.get(block) ?? 0) + 1);
  }
  return [...counts].map(([block, count]) => {
    const [, name, need] = /^(.*) \(needs (.*)\)$/.exec(block) ?? ['', block, null];
    const tests = count === 1 ? '1 test' : `${count} tests`;
    return { name: `${name} (${tests})`, reason: need === null ? 'the test says why' : `needs ${need}` };
  });
}

/** vitest's tests of one project of vitest.config.ts. A file that cannot be loaded counts as a failed test. */
const vitest =
  (project, runTool = run, env = {}) =>
  async () => {
    const report = join(root, `build/test/vitest-${project}.json`);
    mkdirSync(join(root, 'build/test'), { recursive: true });
    rmSync(report, { force: true });
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const { ok } = await runTool(...tool('vitest', 'run', '--project', project, ...reporters), { show: true, env });
    const { testResults } = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { testResults: [] };
    const tests = testResults.flatMap((file) => file.assertionResults);
    const withStatus = (...statuses) => tests.filter(({ status }) => statuses.includes(status));
    const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
    const failed = withStatus('failed').length + broken.length;
    return {
      passed: withStatus('passed').length,
      failed: ok ? failed : Math.max(failed, 1),
      skipped: skippedTests(withStatus('pending', 'skipped', 'todo', 'disabled')),
    };
  };

/** What runs shaders on the test bed, where its compiler is to be had. */
const onTestBed = (name, project) => async () => {
  const missing = await needClang();
  if (missing !== null) return { passed: 0, failed: 0, skipped: [{ name, reason: missing }] };
  return await vitest(project)();
};

/** A project of vitest where the Metal bridge works, with the bridge that was built. */
const onBridge = (project) => async (swift, bridge) => {
  // Where Swift is in a folder of its own, so is another Node.
  const runTool = (node, args, options) => runSwift(swift, swift.folder === null ? node : 'node', args, options);
  return await vitest(project, runTool, { TILEWRIGHT_METAL: bridge })();
};

/** Ops and dispatcher on Metal: through the Swift bridge, or where Swift is not to be had, over the test bed alone. */
async function metal() {
  const swift = await needSwift();
  // Set-up has just compiled it; every pipeline of every test starts it.
  process.env.TILEWRIGHT_COMPILE_SERVICE = join(root, 'dist/ts/testbed/compile-service.js');
  if (typeof swift === 'string') return await onTestBed('the Metal back end', 'metal')();
  return await onBridge('metal')(swift, await buildBridge(swift));
}

/** The package's tests; those of compiled GPU kernels need LLVM's linker, those of reports a browser. */
async function packageTests() {
  const missing = await needGpuCompiler();
  const noBrowser = await needChromium();
  const result = await vitest('unit')();
  if (missing !== null) result.skipped.push({ name: 'compiled GPU kernels', reason: missing });
  if (noBrowser !== null) result.skipped.push({ name: 'reports in a browser', reason: noBrowser });
  return result;
}

/** Stages that look at the sources alone. */
const SOURCE_STAGES = {
  biome: ['formatting and lint (biome)', gate('biome', ...tool('biome', 'check', '--error-on-warnings'))],
  types: [
    'types (tsc)',
    gate('tsc', ...tool('tsc', '--noEmit', '--incremental', '--tsBuildInfoFile', 'build/test/types.tsbuildinfo')),
  ],
  header: ['generated header', gate('The header check', ...tool('tsx', 'scripts/generate-abi.ts', '--check'))],
  format: ['C++ formatting (clang-format)', clangFormat],
};
const STAGES = {
  ...SOURCE_STAGES,
  isa: ['no symbol shared between instruction sets', checkIsa],
  vitest: ['tests of the package (vitest)', packageTests],
  testbed: ['Metal test bed (vitest)', onTestBed('the Metal test bed', 'testbed')],
  swift: ['Metal bridge in Swift, alone and from Node', () => testSwift(onBridge('bridge'))],
  metal: ['ops and dispatcher on Metal (vitest)', metal],
  hip: ['ops and dispatcher on the software HIP device (vitest)', onTestBed('the HIP back end', 'hip')],
  native: ["kernels' own tests", testThisMachine],
  arm: ["arm64 kernels' own tests, emulated", testArmEmulated],
  package: ['the package as installed (vitest)', vitest('package')],
};

function chosenStages() {
  let only;
  try {
    ({ only } = parseArgs({ options: { only: { type: 'string' } } }).values);
  } catch (error) {
    throw new Failure(`${error.message}\nUsage: npm test [-- --only ${Object.keys(STAGES).join(',')}]`);
  }
  const names = only?.split(',') ?? Object.keys(STAGES);
  const unknown = names.filter((name) => !Object.hasOwn(STAGES, name));
  if (unknown.length > 0) {
    throw new Failure(`There is no stage ${unknown.join(', ')}: they are ${Object.keys(STAGES).join(', ')}.`);
  }
  return names;
}

await main(async () => {
  const begin = performance.now();
  const total = { passed: 0, failed: 0 };
  const rows = [];
  const skipped = [];
  const stage = async (title, action) => {
    console.log(`\n▶ ${title}`);
    const since = performance.now();
    let result;
    try {
      result = await action();
    } catch (error) {
      console.log(error instanceof Failure ? error.message : error);
      result = { passed: 0, failed: 1, skipped: [] };
    }
    const { passed, failed } = result;
    console.log(`${failed > 0 ? '✗' : '✓'} ${title}: ${passed} passed, ${failed} failed (${seconds(since)})`);
    rows.push([title, seconds(since), passed, failed]);
    skipped.push(...result.skipped);
    total.passed += passed;
    total.failed += failed;
    return failed === 0;
  };

  const stages = chosenStages();
  console.log(`Random cases are drawn from TILEWRIGHT_SEED=${process.env.TILEWRIGHT_SEED}.`);
  const ready = await stage('set-up', async () => {
    await setUp({ sourcesOnly: stages.every((name) => Object.hasOwn(SOURCE_STAGES, name)) });
    return { passed: 0, failed: 0, skipped: [] };
  });
  if (ready) for (const name of stages) await stage(...STAGES[name]);

  console.log(`\n${'stage'.padEnd(44)}${'time'.padStart(9)}${'passed'.padStart(9)}${'failed'.padStart(9)}`);
  for (const [title, time, passed, failed] of rows) {
    console.log(`${title.padEnd(44)}${time.padStart(9)}${String(passed).padStart(9)}${String(failed).padStart(9)}`);
  }
  console.log(`${'all'.padEnd(44)}${seconds(begin).padStart(9)}`);
  if (skipped.length > 0) console.log('\nskipped:');
  for (const { name, reason } of skipped) console.log(`  ${name}: ${reason}`);
  console.log(`\ntests: ${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
});
