// `node scripts/swift/run.mjs [--build] COMMAND...`: runs a command where Swift and the Metal bridge work.
import { main, say } from '../steps.mjs';
import { buildBridge, runSwift } from './build.mjs';
import { needSwift } from './toolchain.mjs';

await main(async () => {
  const args = process.argv.slice(2);
  const build = args[0] === '--build';
  if (build) args.shift();
  const swift = await needSwift();
  if (typeof swift === 'string') {
    say(swift);
    process.exitCode = 1;
    return;
  }
  if (build) await buildBridge(swift);
  const [command, ...rest] = args;
  if (command === undefined) return;
  const { status } = await runSwift(swift, command, rest, { show: true });
  process.exitCode = typeof status === 'number' ? status : 1;
});
