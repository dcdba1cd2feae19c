import type { CommandModule } from 'yargs';
import { abCommand } from './ab.ts';
import { dequantCommand } from './dequant.ts';
import { dispatchCommand } from './dispatch.ts';
import { epilogueCommand } from './epilogue.ts';
import { launchCommand } from './launch.ts';
import { matmulCommand } from './matmul.ts';
import { memoryCommand } from './memory.ts';
import { predictCommand } from './predict.ts';
import { reportCommand } from './report.ts';
import { softmaxCommand } from './softmax.ts';
import type { SuiteEntry } from './suite-command.ts';
import { sweepCommand } from './sweep.ts';

/** Every suite. */
export const SUITES: readonly SuiteEntry[] = [
  matmulCommand,
  dequantCommand,
  softmaxCommand,
  epilogueCommand,
  launchCommand,
  memoryCommand,
  dispatchCommand,
];

/** What `bench` has: the suites, and what compares, shows and predicts. */
export const BENCH_COMMANDS: readonly CommandModule[] = [
  ...SUITES.map(({ command }) => command),
  abCommand as unknown as CommandModule,
  reportCommand as unknown as CommandModule,
  sweepCommand as unknown as CommandModule,
  predictCommand as unknown as CommandModule,
];

export const benchCommand: CommandModule = {
  command: 'bench',
  describe: 'Measure kernels against the limits of this machine',
  builder: (yargs) => {
    for (const command of BENCH_COMMANDS) yargs.command(command);
    return yargs.demandCommand(1, 'Name what to measure.');
  },
  handler: () => {},
};
