import { QuantFormat } from '../../ts/index.ts';
import { GEMM_TILES, gemm, gemv, gemvT } from '../../ts/kernels/metal/matmul.ts';
import { type FloatType, type MatmulCase, runMatmul } from './matmul-case.ts';
import { launch } from './support.ts';
import { trafficCases } from './traffic-cases.ts';

/** Device traffic of every kernel, and threadgroup traffic of GEMM, as docs/kernels.md shows them. */
export async function trafficTables(): Promise<string> {
  return `${[...(await gemvTable()), '', ...(await gemmTable()), '', ...(await otherTable())].join('\n')}\n`;
}

const N = 64;
const K = 2048;

async function gemvTable(): Promise<string[]> {
  const formats = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
  const floats: readonly FloatType[] = ['f32', 'f16', 'bf16'];
  const rows: string[] = [
    '| kernel | weights | bytes per weight | weights read / minimum | loads per weight and row of a | same, 4 rows of a |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  const one = async (kernel: unknown, name: string, bType: string, bLie: 'rows' | 'columns') => {
    const count = async (m: number) => {
      const test: MatmulCase = { m, n: N, k: K, bType, bLie };
      const chosen = { rows: m === 1 ? 4 : 2, columns: m, split: 1, simdgroups: 4 };
      const { counters, buffers } = await runMatmul(kernel, test, () => chosen, ['forward']);
      const weights = (buffers.b as Uint8Array).byteLength;
      const read = counters.buffers.find(({ index }) => index === 1)!.threadgroupSectors * 32;
      return { weights, ratio: read / weights, loads: (counters.spaces.device.simdReads * 32) / (N * K * m) };
    };
    const single = await count(1);
    const four = await count(4);
    const worst = Math.max(single.ratio, four.ratio);
    rows.push(
      `| ${name} | ${bType} | ${(single.weights / (N * K)).toFixed(4)} | ${worst.toFixed(3)} | ` +
        `${single.loads.toFixed(3)} | ${four.loads.toFixed(3)} |`,
    );
  };
  for (const format of formats) await one(gemv, 'gemv', format, 'rows');
  for (const type of floats) await one(gemv, 'gemv', type, 'rows');
  for (const type of floats) await one(gemvT, 'gemv_t', type, 'columns');
  return rows;
}

async function gemmTable(): Promise<string[]> {
  const rows: string[] = [
    '| tile (m×n×k, simdgroups) | tiles of | matrix loads per MMA | threadgroup bytes read per MMA | written | barriers per 1000 MMAs |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const [tile, { m, n, k, wm, wn }] of GEMM_TILES.entries()) {
    for (const [dtype, name] of ['f32', 'f16'].entries()) {
      const test: MatmulCase = { m: 128, n: 128, k: 256, aType: 'f16', bType: 'f16' };
      const { counters } = await runMatmul(gemm, test, () => ({ tile, tile_dtype: dtype, whole: 1 }), ['forward']);
      const { bytesRead, bytesWritten } = counters.spaces.threadgroup;
      const per = (count: number, digits: number) => (count / counters.mmas).toFixed(digits);
      rows.push(
        `| ${m}×${n}×${k}, ${wm}×${wn} | ${name} | ${per(counters.matrixLoads, 3)} | ${per(bytesRead, 1)} | ` +
          `${per(bytesWritten, 1)} | ${per(counters.threadgroupBarriers * 1000, 1)} |`,
      );
    }
  }
  return rows;
}

async function otherTable(): Promise<string[]> {
  const rows: string[] = [
    '| kernel | problem | sectors read / minimum | loaded / minimum | written / minimum | lines per 128 bytes loaded | threadgroup bytes read, written | barriers |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const { name, problem, spec } of trafficCases()) {
    const { counters } = await launch({ ...spec, orders: ['forward'] });
    const { device, threadgroup } = counters.spaces;
    const operands = counters.buffers.filter(({ index }) => index < spec.kernel.bufferNames.length);
    const minimum = (key: 'distinctBytesRead' | 'distinctBytesWritten') =>
      operands.reduce((sum, buffer) => sum + buffer[key], 0);
    const inputs = operands.filter(({ distinctBytesRead }) => distinctBytesRead > 0);
    const sectors = inputs.reduce((sum, buffer) => sum + 32 * buffer.threadgroupSectors, 0);
    const read = device.bytesRead / minimum('distinctBytesRead');
    const written = device.bytesWritten / minimum('distinctBytesWritten');
    rows.push(
      `| ${name} | ${problem} | ${(sectors / minimum('distinctBytesRead')).toFixed(3)} | ${read.toFixed(3)} | ${written.toFixed(3)} | ` +
        `${((device.readLines * 128) / device.bytesRead).toFixed(2)} | ` +
        `${threadgroup.bytesRead}, ${threadgroup.bytesWritten} | ${counters.threadgroupBarriers} |`,
    );
  }
  return rows;
}
