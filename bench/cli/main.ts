import yargs, { type CommandModule } from 'yargs';
import { packageVersion } from '../../ts/backends/native.ts';
import { type ErrorCode, TilewrightError } from '../../ts/errors.ts';
import { checkCommand } from '../../ts/testbed/index.ts';
import { BENCH_COMMANDS, benchCommand } from './bench.ts';
import { buildCommand } from './build.ts';
import { EXIT } from './exit.ts';
import { infoCommand } from './info.ts';
import { occupancyCommand } from './occupancy.ts';
import { tuneCommand } from './tune.ts';

/** What the two programs offer; `bench` is `tilewright bench` under a shorter name. */
const PROGRAMS = {
  tilewright: [infoCommand, benchCommand, buildCommand, checkCommand, occupancyCommand, tuneCommand],
  bench: BENCH_COMMANDS,
} as const satisfies Record<string, readonly unknown[]>;
export type Program = keyof typeof PROGRAMS;

/** Lines are not longer than this, however wide the terminal is. */
const MAX_WIDTH = 100;

/** Failures that other arguments would avoid. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set(['ERR_USAGE', 'ERR_INVALID_ARGUMENT', 'ERR_FORMAT_UNKNOWN']);

/** Run a program of the package; the exit code is left in `process.exitCode`. */
export async function main(program: Program, argv: readonly string[]): Promise<void> {
  quietWhenClosed(process.stdout);
  const cli = yargs([...argv])
    .scriptName(program)
    .locale('en')
    .usage('$0 <command> [options]')
    .version(packageVersion)
    .help()
    .alias('help', 'h')
    .strict()
    .recommendCommands()
    .demandCommand(1, 'Name a command.')
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns ?? MAX_WIDTH))
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (error !== undefined && error.name !== 'YError') throw error;
      throw new TilewrightError('ERR_USAGE', message ?? error?.message ?? 'The arguments make no sense.');
    });
  for (const command of PROGRAMS[program]) cli.command(command as unknown as CommandModule);
  try {
    await cli.parseAsync();
  } catch (error) {
    process.exitCode = report(program, argv, error);
  }
}

/** Say what went wrong. @returns the exit code */
function report(program: Program, argv: readonly string[], error: unknown): number {
  const known = error instanceof TilewrightError;
  const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${program}: ${text}\n`);
  if (!known || !USAGE_CODES.has(error.code)) return EXIT.failed;
  const options = argv.findIndex((word) => word.startsWith('-'));
  const command = argv.slice(0, options < 0 ? argv.length : options).filter((word) => /^[a-z]+$/.test(word));
  process.stderr.write(`\`${[program, ...command].join(' ')} --help\` lists the options.\n`);
  return EXIT.usage;
}

/** Whoever reads the output may stop reading (`| head`), which is no failure of ours. */
function quietWhenClosed(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}
