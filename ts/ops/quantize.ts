import { loadNative, nativeCall } from '../backends/native.ts';
import { TilewrightError } from '../errors.ts';
import { getQuantFormat, type QuantFormat } from '../tensor/quant-format.ts';

const mismatch = (message: string, details: Record<string, unknown>) =>
  new TilewrightError('ERR_SHAPE_MISMATCH', message, { details });

/**
 * Decode whole blocks to floats, bit for bit as ggml does. Runs on the calling thread; for weights on a device see
 * `dequantizeTensor`.
 * @param bytes  a whole number of the format's blocks
 * @throws ERR_FORMAT_UNKNOWN, ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED (a plug-in format without `decode`)
 */
export function dequantize(format: QuantFormat, bytes: Uint8Array): Float32Array {
  const info = getQuantFormat(format);
  if (!(bytes instanceof Uint8Array))
    throw new TilewrightError('ERR_INVALID_ARGUMENT', 'dequantize() takes a Uint8Array.');
  if (bytes.byteLength % info.blockBytes !== 0) {
    throw mismatch(`${format} blocks have ${info.blockBytes} bytes; ${bytes.byteLength} bytes are not whole blocks.`, {
      format,
      byteLength: bytes.byteLength,
    });
  }
  if (info.id === undefined) {
    if (info.decode === undefined) {
      throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `Format ${format} was registered without decode().`);
    }
    return info.decode(bytes);
  }
  const count = (bytes.byteLength / info.blockBytes) * info.blockSize;
  return nativeCall(() => loadNative().dequantize(info.id!, bytes, count));
}

/**
 * Encode floats to whole blocks. NaN is stored as 0 and infinities as the largest value that the block can hold.
 * @param values  a whole number of the format's blocks
 * @throws ERR_FORMAT_UNKNOWN, ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED (a plug-in format without `encode`)
 */
export function quantize(format: QuantFormat, values: Float32Array): Uint8Array {
  const info = getQuantFormat(format);
  if (!(values instanceof Float32Array)) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', 'quantize() takes a Float32Array.');
  }
  if (values.length % info.blockSize !== 0) {
    throw mismatch(`${format} blocks hold ${info.blockSize} weights; ${values.length} values are not whole blocks.`, {
      format,
      length: values.length,
    });
  }
  if (info.id === undefined) {
    if (info.encode === undefined) {
      throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `Format ${format} was registered without encode().`);
    }
    return info.encode(values);
  }
  const bytes = (values.length / info.blockSize) * info.blockBytes;
  return nativeCall(() => loadNative().quantize(info.id!, values, bytes));
}
