// The stage of `npm test` for Swift: formatting, the Swift sources' own tests under ThreadSanitizer, and the bridge.
import { Failure, say, seconds } from '../steps.mjs';
import { needClang } from '../toolchain.mjs';
import { buildBridge, runSwift } from './build.mjs';
import { needSwift } from './toolchain.mjs';

const SOURCES = ['Package.swift', 'Sources/MetalBridge', 'Sources/MetalRuntime', 'Sources/SoftMetal', 'test/swift'];
/** Another folder than the bridge's: everything in it is instrumented. */
const TESTS_SCRATCH = 'build/swift-tests';
const SANITIZED = { TILEWRIGHT_SANITIZE: 'thread' };

/**
 * @param {(swift: import('./toolchain.mjs').Swift, bridge: string) => Promise<object>} bridgeTests runs what loads the bridge
 */
export async function testSwift(bridgeTests) {
  const swift = await needSwift();
  if (typeof swift === 'string') return skipped(swift);
  const results = [await formatting(swift), await ownTests(swift)];
  // On Linux the software device compiles shaders.
  const clang = process.platform === 'linux' && swift.folder === null ? await needClang() : null;
  if (clang !== null) return total([...results, skipped(clang)]);
  const bridge = await buildBridge(swift, ['NodeSwiftPitfalls']);
  results.push({ passed: 1, failed: 0, skipped: [] }, await bridgeTests(swift, bridge));
  return total(results);
}

const skipped = (reason) => ({ passed: 0, failed: 0, skipped: [{ name: 'the Metal bridge in Swift', reason }] });

function total(results) {
  return {
    passed: results.reduce((sum, { passed }) => sum + passed, 0),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
    skipped: results.flatMap((result) => result.skipped),
  };
}

/** Formatting differs between versions: this one is Debian 13's. */
const FORMAT_VERSION = '6.0';

async function formatting(swift) {
  const skip = (reason) => ({ passed: 0, failed: 0, skipped: [{ name: 'Swift formatting', reason }] });
  const version = /Swift version (\d+\.\d+)/.exec((await runSwift(swift, 'swift', ['--version'])).output)?.[1];
  if (version !== FORMAT_VERSION) return skip(`this is Swift ${version}, not ${FORMAT_VERSION}`);
  const { ok, output } = await runSwift(swift, 'swift', ['format', 'lint', '--strict', '--recursive', ...SOURCES]);
  if (!ok && /unable to invoke subcommand|unknown (sub)?command/i.test(output)) return skip('there is no swift format');
  if (!ok) throw new Failure(`${output}Format them with: swift format -i -r ${SOURCES.join(' ')}`);
  return { passed: 1, failed: 0, skipped: [] };
}

async function ownTests(swift) {
  if (process.platform !== 'linux') {
    const reason = 'they look at it over the software device, which is for Linux';
    return { passed: 0, failed: 0, skipped: [{ name: "the bridge's own tests in Swift", reason }] };
  }
  const begin = performance.now();
  const args = ['test', '--scratch-path', TESTS_SCRATCH, '--sanitize=thread'];
  const { output } = await runSwift(swift, 'swift', args, { env: SANITIZED, timeout: 600_000 });
  const ended = /Test run with \d+ tests? (passed|failed)/.test(output);
  const passed = output.match(/^. Test ".*" passed after /gm)?.length ?? 0;
  const failed = output.match(/^. Test ".*" failed after /gm)?.length ?? 0;
  const races = output.match(/WARNING: ThreadSanitizer/g)?.length ?? 0;
  if (!ended || failed > 0 || races > 0) {
    console.log(
      output
        .split('\n')
        .filter((line) => !/^\[\d+\/\d+\]|^◇/.test(line))
        .join('\n'),
    );
  }
  if (!ended) throw new Failure('The tests of the Swift sources did not come to their end.');
  say(`Swift tests, built and run under ThreadSanitizer in ${seconds(begin)}`);
  return { passed, failed: failed + races, skipped: [] };
}
