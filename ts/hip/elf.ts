// As much of 64-bit little-endian ELF files as AMD's code objects and NVIDIA's cubins need.

export interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

/** Sections of this type take no bytes of the file. */
const SHT_NOBITS = 8;
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;

export const isElf = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

/** @throws RangeError if the bytes are no such file, or not all of it */
export function readSections(bytes: Uint8Array): readonly Section[] {
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new RangeError('a code object is a 64-bit little-endian ELF file');
  }
  const cutShort = () => new RangeError(`it is cut short: ${bytes.byteLength} bytes are not all of it`);
  if (bytes.byteLength < HEADER_BYTES) throw cutShort();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [first, size, count] = [
    Number(view.getBigUint64(0x28, true)),
    view.getUint16(0x3a, true),
    view.getUint16(0x3c, true),
  ];
  if (count > 0 && (size < SECTION_BYTES || first + size * count > bytes.byteLength)) throw cutShort();
  return Array.from({ length: count }, (_, i) => {
    const at = first + i * size;
    const section = {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 0x18, true)),
      size: Number(view.getBigUint64(at + 0x20, true)),
    };
    if (section.type !== SHT_NOBITS && section.offset + section.size > bytes.byteLength) throw cutShort();
    return section;
  });
}

/**
 * Why a driver must not be given an image, or null: it is told no length, and reads as far as an ELF file's header says.
 * What is no ELF file (PTX, say) is for the driver to judge.
 */
export function imageProblem(bytes: Uint8Array): string | null {
  if (bytes.byteLength === 0) return 'it is empty';
  if (!isElf(bytes)) return null;
  try {
    readSections(bytes);
    return null;
  } catch (error) {
    return (error as RangeError).message;
  }
}
