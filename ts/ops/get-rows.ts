import { loadNative, nativeCall } from '../backends/native.ts';
import { checkApart } from '../device/aliasing.ts';
import type { Command, HostStep } from '../device/command-list.ts';
import type { GetRowsCall } from '../device/elementwise.ts';
import { hostRead, hostWrite, readIndices } from '../device/host-access.ts';
import { QuantizedTensor, type Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';

export interface GetRowsOptions {
  /** Type of a new result: f32 (default), f16 or bf16. */
  readonly dtype?: DType | undefined;
  /** Where the rows go: [count, k], any strides. */
  readonly out?: Tensor | undefined;
  /**
   * What an index that names no row does: `error` (default) is ERR_OUT_OF_BOUNDS before any row is read; `nan` gives a
   * row of NaN and spares the host from reading the indices.
   */
  readonly outOfRange?: 'error' | 'nan' | undefined;
}

/**
 * The command of a row look-up, to be submitted with others. An index that names no row gives a row of NaN; nothing is
 * read for it.
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED
 */
export function getRowsCommand(table: Tensor | QuantizedTensor, index: Tensor, out: Tensor): Command {
  const mismatch = (message: string) => new TilewrightError('ERR_SHAPE_MISMATCH', message);
  if (table.rank !== 2) throw mismatch(`A table is [rows, k], but this is ${String(table)}.`);
  if (index.rank !== 1) throw mismatch(`The indices are [count], but this is ${String(index)}.`);
  if (out.rank !== 2 || out.shape[0] !== index.size || out.shape[1] !== table.shape[1]) {
    throw mismatch(`out is ${String(out)}, but the rows make [${index.size}, ${table.shape[1]}].`);
  }
  const blocks = table instanceof QuantizedTensor;
  if (index.dtype !== 'i32' || !DTYPES[out.dtype].float || !(blocks || DTYPES[table.dtype].float)) {
    throw new TilewrightError(
      'ERR_DTYPE_UNSUPPORTED',
      `getRows takes i32 indices and rows of floats or blocks, and gives floats: not ${String(index)}, ` +
        `${String(table)} and ${String(out)}.`,
    );
  }
  checkApart(out, { table, index });
  const known = !blocks || table.format.id !== undefined;
  return (known && table.device.elementwise.getRows({ table, index, out })) || onHost({ table, index, out });
}

/**
 * Rows of a table [rows, k], plain or block-quantized, by i32 indices [count]: token embeddings.
 * @returns [count, k]; the caller disposes it.
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED, ERR_OUT_OF_BOUNDS
 */
export async function getRows(
  table: Tensor | QuantizedTensor,
  index: Tensor,
  options: GetRowsOptions = {},
): Promise<Tensor> {
  const { device } = table;
  const out = options.out ?? device.empty([index.size, table.shape.at(-1) ?? 0], { dtype: options.dtype ?? 'f32' });
  try {
    const command = getRowsCommand(table, index, out);
    await device.submit(options.outOfRange === 'nan' ? [command] : [checkIndices(table, index), command]);
  } catch (error) {
    if (options.out === undefined) out.dispose();
    throw error;
  }
  return out;
}

/** Reads the indices when their turn comes, and refuses those that name no row. */
function checkIndices(table: Tensor | QuantizedTensor, index: Tensor): HostStep {
  const rows = table.shape[0]!;
  return {
    type: 'host',
    label: 'check indices',
    run: () => {
      const values = readIndices(index);
      const at = values.findIndex((row) => row < 0 || row >= rows);
      if (at === -1) return;
      throw new TilewrightError(
        'ERR_OUT_OF_BOUNDS',
        `Index ${at} is ${values[at]}, but the table has ${rows} row${rows === 1 ? '' : 's'}, counted from 0.`,
        { details: { at, index: values[at], rows } },
      );
    },
  };
}

/** Row by row on the JavaScript thread: formats that plug-ins decode, and tables that no kernel of a back end reads. */
function onHost({ table, index, out }: GetRowsCall): HostStep {
  const [rows, k] = table.shape as [number, number];
  return {
    type: 'host',
    label: `get_rows ${index.size}x${k}`,
    run: () => {
      const values = new Float32Array(index.size * k);
      readIndices(index).forEach((row, i) => {
        const target = values.subarray(i * k, (i + 1) * k);
        if (row >= 0 && row < rows) target.set(rowOf(table, row));
        else target.fill(Number.NaN);
      });
      hostWrite(out, values);
    },
  };
}

function rowOf(table: Tensor | QuantizedTensor, row: number): Float32Array {
  if (!(table instanceof QuantizedTensor)) return hostRead(table, table.layout.slice(row));
  const bytes = new Uint8Array(table.rowBytes);
  table.buffer.read(bytes, table.byteOffset + row * table.rowStrides[0]!);
  const { id, decode, name } = table.format;
  if (id !== undefined) return nativeCall(() => loadNative().dequantize(id, bytes, table.shape[1]!));
  if (decode !== undefined) return decode(bytes);
  throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `Format ${name} was registered without decode().`);
}
