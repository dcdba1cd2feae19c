// What the row look-ups of all back ends have in common.
import type { GetRowsCall } from '../device/elementwise.ts';
import { QuantizedTensor } from '../device/tensor.ts';
import { DTYPES } from '../tensor/dtype.ts';

/** The parameters that a look-up has everywhere, the type of the table (a dtype or a format), and its label. */
export function describeGetRows({ table, index, out }: GetRowsCall) {
  const [rows, k] = table.shape as [number, number];
  const quantized = table instanceof QuantizedTensor;
  return {
    type: quantized ? table.format.id! : DTYPES[table.dtype].id,
    params: {
      ...{ rows, k, count: index.size },
      src_stride: quantized ? [table.rowStrides[0]!, 0] : table.strides,
      index_stride: index.strides[0]!,
      dst_stride: out.strides,
    },
    label: `get_rows<${quantized ? table.format.name : table.dtype}> ${index.size}x${k}`,
  };
}
