import { formatOfId, isFormatId } from '../types.ts';

const DENSE_NAMES: readonly string[] = ['f32', 'f16', 'bf16'];

/** Name of a weight type, dtype or format, in host names. */
export function typeName(id: number): string {
  const name = isFormatId(id) ? formatOfId(id).name : DENSE_NAMES[id];
  if (name === undefined) throw new RangeError(`no Metal kernel reads weights of dtype ${id}`);
  return name;
}

/** How the shaders read blocks of a format. */
interface BlockReading {
  /** Lanes that share a block, see metal/formats/format.h. */
  readonly parts: number;
  /** Bytes to which the address of a block has to be aligned for the widest loads of the format's decoder. */
  readonly alignment: number;
}
/** By format; `npm run generate` writes it to metal/generated/weights.h. */
export const BLOCK_READING: Readonly<Record<string, BlockReading>> = {
  q4_0: { parts: 8, alignment: 2 },
  q4_1: { parts: 8, alignment: 4 },
  q5_0: { parts: 8, alignment: 2 },
  q5_1: { parts: 8, alignment: 8 },
  q8_0: { parts: 16, alignment: 2 },
  q2_k: { parts: 32, alignment: 4 },
  q3_k: { parts: 32, alignment: 2 },
  q4_k: { parts: 16, alignment: 16 },
  q5_k: { parts: 16, alignment: 16 },
  q6_k: { parts: 32, alignment: 2 },
  q8_k: { parts: 32, alignment: 4 },
  iq4_nl: { parts: 8, alignment: 2 },
  iq4_xs: { parts: 32, alignment: 8 },
  mxfp4: { parts: 8, alignment: 1 },
};
export const blockAlignment = (id: number): number => BLOCK_READING[formatOfId(id).name]!.alignment;

/** Weights of a block that fall to one lane. */
export function shareOf(id: number): number {
  const { name, blockSize } = formatOfId(id);
  return blockSize / BLOCK_READING[name]!.parts;
}
