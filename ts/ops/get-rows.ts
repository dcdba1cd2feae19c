import { loadNative, nativeCall } from '../backends/native.ts';
import type { Command, HostStep } from '../device/command-list.ts';
import type { GetRowsCall } from '../device/elementwise.ts';
import { forEachPosition, hostRead, hostWrite } from '../device/host-access.ts';
import { QuantizedTensor, type Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';

export interface GetRowsOptions {
  /** Type of a new result: f32 (default), f16 or bf16. */
  readonly dtype?: DType | undefined;
  /** Where the rows go: [count, k], any strides. */
  readonly out?: Tensor | undefined;
}

/** The command of a row look-up, to be submitted with others. @throws ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED */
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
  const known = !blocks || table.format.id !== undefined;
  return (known && table.device.elementwise.getRows?.({ table, index, out })) || onHost({ table, index, out });
}

/**
 * Rows of a table [rows, k], plain or block-quantized, by i32 indices [count]: token embeddings. An index that names no
 * row gives a row of NaN.
 * @returns [count, k]; the caller disposes it.
 */
export async function getRows(
  table: Tensor | QuantizedTensor,
  index: Tensor,
  options: GetRowsOptions = {},
): Promise<Tensor> {
  const { device } = table;
  const out = options.out ?? device.empty([index.size, table.shape.at(-1) ?? 0], { dtype: options.dtype ?? 'f32' });
  try {
    await device.submit([getRowsCommand(table, index, out)]);
  } catch (error) {
    if (options.out === undefined) out.dispose();
    throw error;
  }
  return out;
}

/** Row by row on the JavaScript thread: back ends without a kernel, and formats that plug-ins decode. */
function onHost({ table, index, out }: GetRowsCall): HostStep {
  const [rows, k] = table.shape as [number, number];
  return {
    type: 'host',
    label: `get_rows ${index.size}x${k}`,
    run: () => {
      const values = new Float32Array(index.size * k);
      indices(index).forEach((row, i) => {
        const target = values.subarray(i * k, (i + 1) * k);
        if (row >= 0 && row < rows) target.set(rowOf(table, row));
        else target.fill(Number.NaN);
      });
      hostWrite(out, values);
    },
  };
}

/** The bits of the indices: a float would round large ones. */
function indices(index: Tensor): Int32Array {
  const { span, size } = index.layout;
  const memory = new Int32Array(span.to - span.from);
  index.buffer.read(new Uint8Array(memory.buffer), 4 * span.from);
  const values = new Int32Array(size);
  forEachPosition(index.layout, (position, i) => {
    values[i] = memory[position - span.from]!;
  });
  return values;
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
