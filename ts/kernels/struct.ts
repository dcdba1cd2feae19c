/**
 * Plain C structs described as data: the one description gives the C declaration, the TypeScript type and the encoder,
 * so that host and kernel cannot disagree about a layout.
 */
export type Scalar = 'i64' | 'u32' | 'i32' | 'f32';
export type FieldType = Scalar | `${Scalar}[${number}]`;
export type StructFields = Readonly<Record<string, FieldType>>;

/** The TypeScript value of a struct: numbers (i64 as safe integers) and arrays of them. */
export type StructValue<F extends StructFields> = {
  readonly [K in keyof F]: F[K] extends Scalar ? number : readonly number[];
};

interface Field {
  readonly name: string;
  readonly scalar: Scalar;
  /** Elements of an array field, 0 for a scalar. */
  readonly length: number;
  readonly offset: number;
}

const SCALAR_BYTES: Record<Scalar, number> = { i64: 8, u32: 4, i32: 4, f32: 4 };

export class StructLayout<F extends StructFields = StructFields> {
  readonly fields: readonly Field[];
  /** Size in bytes, padded to the struct's alignment as a C compiler pads it. */
  readonly byteLength: number;

  constructor(fields: F) {
    let offset = 0;
    let alignment = 4;
    this.fields = Object.entries(fields).map(([name, type]) => {
      const [, scalar, length] = /^(\w+?)(?:\[(\d+)\])?$/.exec(type) as unknown as [string, Scalar, string | undefined];
      const size = SCALAR_BYTES[scalar];
      alignment = Math.max(alignment, size);
      offset = Math.ceil(offset / size) * size;
      const field = { name, scalar, length: length === undefined ? 0 : Number(length), offset };
      offset += size * (field.length || 1);
      return field;
    });
    this.byteLength = Math.ceil(offset / alignment) * alignment;
  }

  /** Write `value` at `at`; array fields that are shorter than declared are filled with zeros. */
  encode(value: StructValue<F>, view: DataView, at: number): void {
    const values = value as Readonly<Record<string, number | readonly number[]>>;
    for (const { name, scalar, length, offset } of this.fields) {
      const field = values[name]!;
      if (length === 0) {
        writeScalar(view, at + offset, scalar, field as number);
      } else {
        const array = field as readonly number[];
        for (let i = 0; i < length; i++) {
          writeScalar(view, at + offset + i * SCALAR_BYTES[scalar], scalar, array[i] ?? 0);
        }
      }
    }
  }
}

function writeScalar(view: DataView, at: number, scalar: Scalar, value: number): void {
  switch (scalar) {
    case 'f32':
      view.setFloat32(at, value, true);
      return;
    case 'u32':
      view.setUint32(at, value, true);
      return;
    case 'i32':
      view.setInt32(at, value, true);
      return;
    case 'i64': {
      // Two 32-bit halves: no BigInt on the launch path. Exact for safe integers, of either sign.
      const high = Math.floor(value / 2 ** 32);
      view.setUint32(at, value - high * 2 ** 32, true);
      view.setInt32(at + 4, high, true);
      return;
    }
  }
}
