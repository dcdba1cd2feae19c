// What an AMD code object says about its kernels: the ELF note "AMDGPU" holds MessagePack (LLVM, "AMDGPU Code Object
// V3 to V5 Metadata").
import { decode } from '@msgpack/msgpack';
import { readSections } from './elf.ts';

export interface KernelResources {
  readonly name: string;
  readonly vgpr: number;
  /** Accumulation registers of CDNA, counted in `vgpr` where both share one file. */
  readonly agpr: number;
  readonly sgpr: number;
  /** Registers that went to memory, and bytes of scratch memory per lane: both have to be 0. */
  readonly spills: number;
  readonly scratch: number;
  /** Bytes of LDS of fixed size. */
  readonly lds: number;
  readonly kernargBytes: number;
  readonly waveSize: number;
  readonly maxThreads: number;
}

const SHT_NOTE = 7;
const NT_AMDGPU_METADATA = 32;

/** @throws RangeError if the bytes are no 64-bit little-endian ELF file with AMDGPU metadata */
export function readCodeObject(bytes: Uint8Array): readonly KernelResources[] {
  const metadata = decode(findNote(bytes)) as { readonly 'amdhsa.kernels'?: readonly Record<string, unknown>[] };
  return (metadata['amdhsa.kernels'] ?? []).map((kernel) => {
    const number = (key: string) => Number(kernel[`.${key}`] ?? 0);
    return {
      name: String(kernel['.name']),
      vgpr: number('vgpr_count'),
      agpr: number('agpr_count'),
      sgpr: number('sgpr_count'),
      spills: number('vgpr_spill_count') + number('sgpr_spill_count'),
      scratch: number('private_segment_fixed_size'),
      lds: number('group_segment_fixed_size'),
      kernargBytes: number('kernarg_segment_size'),
      waveSize: number('wavefront_size'),
      maxThreads: number('max_flat_workgroup_size'),
    };
  });
}

/** The description of the AMDGPU note. */
function findNote(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const { type, offset, size } of readSections(bytes)) {
    if (type !== SHT_NOTE) continue;
    for (let at = offset; at + 12 <= offset + size; ) {
      const nameBytes = view.getUint32(at, true);
      const length = view.getUint32(at + 4, true);
      const from = at + 12 + Math.ceil(nameBytes / 4) * 4;
      if (view.getUint32(at + 8, true) === NT_AMDGPU_METADATA) return bytes.subarray(from, from + length);
      at = from + Math.ceil(length / 4) * 4;
    }
  }
  throw new RangeError('the code object has no AMDGPU metadata');
}
