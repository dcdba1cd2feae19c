import type { CommandModule } from 'yargs';
import { dequantCommand } from './dequant.ts';
import { matmulCommand } from './matmul.ts';

export const SUITE_COMMANDS = [matmulCommand, dequantCommand] as const;

export const benchCommand: CommandModule = {
  command: 'bench',
  describe: 'Measure kernels against the limits of this machine',
  builder: (yargs) => {
    for (const command of SUITE_COMMANDS) yargs.command(command as unknown as CommandModule);
    return yargs.demandCommand(1, 'Name what to measure.');
  },
  handler: () => {},
};
