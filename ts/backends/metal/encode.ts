import type { LaunchGeometry } from '../../kernels/declare.ts';

/** A launch as the bridge takes it; `buffers` name memory by its place in a list that goes along. */
export interface EncodableLaunch {
  readonly pipeline: number;
  readonly geometry: Required<LaunchGeometry>;
  readonly params: Uint8Array;
  readonly paramsIndex: number;
  readonly buffers: readonly { readonly index: number; readonly memory: number; readonly byteOffset: number }[];
}

const FIXED_WORDS = 11;
const BUFFER_WORDS = 4;

/**
 * Launches as bytes, little-endian words. Per launch: pipeline, number of buffers, bytes of parameters, number of
 * threadgroup memories; threadgroups (3); threads (3); the length of each threadgroup memory; per buffer its argument
 * index, its place in the list and its offset (two words, low first); the argument index of the parameters, and they.
 */
export function encodeCommands(launches: readonly EncodableLaunch[]): Uint8Array {
  let words = 0;
  for (const { geometry, params, buffers } of launches) {
    words += FIXED_WORDS + geometry.threadgroupBytes.length + BUFFER_WORDS * buffers.length + params.byteLength / 4;
  }
  const bytes = new Uint8Array(4 * words);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const word = (value: number) => {
    view.setUint32(at, value, true);
    at += 4;
  };
  for (const { pipeline, geometry, params, paramsIndex, buffers } of launches) {
    word(pipeline);
    word(buffers.length);
    word(params.byteLength);
    word(geometry.threadgroupBytes.length);
    for (const count of geometry.threadgroups) word(count);
    for (const count of geometry.threads) word(count);
    for (const length of geometry.threadgroupBytes) word(length);
    for (const { index, memory, byteOffset } of buffers) {
      word(index);
      word(memory);
      word(byteOffset % 2 ** 32);
      word(Math.floor(byteOffset / 2 ** 32));
    }
    word(paramsIndex);
    bytes.set(params, at);
    at += params.byteLength;
  }
  return bytes;
}
