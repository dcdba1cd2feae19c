import { formatOfId, isFormatId } from '../types.ts';

const DENSE_NAMES: readonly string[] = ['f32', 'f16', 'bf16'];

/** Name of a weight type, dtype or format, in host names. */
export function typeName(id: number): string {
  const name = isFormatId(id) ? formatOfId(id).name : DENSE_NAMES[id];
  if (name === undefined) throw new RangeError(`no Metal kernel reads weights of dtype ${id}`);
  return name;
}

/** Bytes to which the address of a block has to be aligned for the widest loads of its format's decoder. */
const BLOCK_ALIGNMENT: Readonly<Record<string, number>> = {
  ...{ q4_0: 2, q4_1: 4, q5_0: 2, q5_1: 8, q8_0: 2, q2_k: 4, q3_k: 2, q4_k: 16, q5_k: 16, q6_k: 2, q8_k: 4 },
  ...{ iq4_nl: 2, iq4_xs: 8, mxfp4: 1 },
};
export const blockAlignment = (id: number): number => BLOCK_ALIGNMENT[formatOfId(id).name]!;
