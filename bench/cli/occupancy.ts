import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { packageRoot } from '../../ts/backends/native.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { REGISTER_FILES } from '../../ts/hip/occupancy.ts';
import { parseTable } from '../../ts/hip/resources.ts';

export interface OccupancyOptions {
  target: string;
  kernel: string | undefined;
  json: boolean | undefined;
}

const folder = fileURLToPath(new URL('hip/resources', packageRoot));

/** `tilewright occupancy`: what the GPU kernels take on an AMD target, and what stops more waves of them. */
export const occupancyCommand: CommandModule<object, OccupancyOptions> = {
  command: 'occupancy [target]',
  describe: 'Show registers, LDS and waves of the GPU kernels on an AMD target, and what limits each',
  builder: (yargs) =>
    yargs
      .positional('target', { type: 'string', default: 'gfx906', describe: 'gfx906, gfx90a, gfx1100 and so on' })
      .option('kernel', { type: 'string', describe: 'Only kernels whose names contain this' })
      .option('json', { type: 'boolean', describe: 'Print JSON' }) as never,
  handler: run,
};

function run({ target, kernel = '', json = false }: ArgumentsCamelCase<OccupancyOptions>): void {
  const targets = readdirSync(folder).flatMap((file) => (file.endsWith('.tsv') ? [file.replace('.tsv', '')] : []));
  if (!targets.includes(target)) {
    throw new TilewrightError('ERR_USAGE', `There is no table for ${target}; there are: ${targets.sort().join(', ')}.`);
  }
  const rows = parseTable(readFileSync(`${folder}/${target}.tsv`, 'utf8')).filter((row) => row.kernel.includes(kernel));
  if (json) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const table = new Table({
    head: ['kernel', 'VGPR', 'SGPR', 'LDS', 'waves', 'limit', 'VALU/256', 'bytes/256', 'rounds'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    const loop = row.valu === undefined ? ['', '', ''] : [row.valu.toFixed(2), `${row.bytes}`, `${row.rounds}`];
    table.push([row.kernel, row.vgpr, row.sgpr, row.lds, row.waves, row.limit, ...loop]);
  }
  const { waves, registers, granule, waveSize } = REGISTER_FILES[target]!;
  process.stdout.write(
    `${table.toString()}\n${target}: waves of ${waveSize} lanes, at most ${waves} per SIMD; ${registers} registers per ` +
      `lane, given by ${granule}.\nVALU and bytes asked of the first cache per 256 weights, and dependent load rounds per ` +
      'trip of the hot loop, counted from the assembly.\n',
  );
}
