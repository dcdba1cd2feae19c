// Operands that share memory with a result: kernels read the one while they write the other, in any order.
import { TilewrightError } from '../errors.ts';
import { DTYPES } from '../tensor/dtype.ts';
import { QuantizedTensor, type Tensor } from './tensor.ts';

type Operand = Tensor | QuantizedTensor;

/** Bytes from the first to behind the last element, and whether there are elements everywhere between. */
function bytesOf(tensor: Operand): { readonly from: number; readonly to: number; readonly dense: boolean } {
  const { from, to } = tensor.layout.span;
  if (tensor instanceof QuantizedTensor) return { from, to: to - 1 + tensor.rowBytes, dense: false };
  const { bytes } = DTYPES[tensor.dtype];
  return { from: from * bytes, to: to * bytes, dense: tensor.size === to - from };
}

/**
 * Whether two tensors have bytes in common for sure: one begins where the other does, or both are without gaps. Views
 * that interleave (columns of one matrix) may share a range and no element, so they are taken for apart.
 */
function overlap(x: Operand, y: Operand): boolean {
  if (x.buffer !== y.buffer || x.size === 0 || y.size === 0) return false;
  const [own, other] = [bytesOf(x), bytesOf(y)];
  if (own.from >= other.to || other.from >= own.to) return false;
  return own.from === other.from || (own.dense && other.dense);
}

/** The same elements at the same places: each is read before it is written, by one thread. */
function samePlaces(x: Operand, y: Operand): boolean {
  if (x instanceof QuantizedTensor || y instanceof QuantizedTensor) return false;
  const steps = ({ shape, strides }: Tensor) =>
    shape.flatMap((size, i) => (size === 1 ? [] : [`${size}:${strides[i]}`])).join();
  return x.dtype === y.dtype && x.offset === y.offset && steps(x) === steps(y);
}

/**
 * Refuse operands that certainly share memory with `out`; those of `inPlace` may be `out` itself.
 * @throws ERR_INVALID_ARGUMENT
 */
export function checkApart(
  out: Tensor,
  operands: Readonly<Record<string, Operand | undefined>>,
  inPlace: Readonly<Record<string, Operand | undefined>> = {},
): void {
  const refuse = (name: string) => {
    throw new TilewrightError(
      'ERR_INVALID_ARGUMENT',
      `The result shares memory with \`${name}\`, which is read while it is written. Give one of them memory of its own.`,
      { details: { operand: name } },
    );
  };
  for (const name in operands) {
    const operand = operands[name];
    if (operand !== undefined && overlap(out, operand)) refuse(name);
  }
  for (const name in inPlace) {
    const operand = inPlace[name];
    if (operand !== undefined && overlap(out, operand) && !samePlaces(out, operand)) refuse(name);
  }
}
