import type { BackendMemory } from '../device/backend.ts';
import { nativeCall } from './native.ts';

/** What the addon's handles of memory have in common. */
interface NativeBytes {
  readonly byteLength: number;
  write(bytes: Uint8Array, offset: number): void;
  read(target: Uint8Array, offset: number): void;
  release(): void;
}

/** Memory that the addon holds, the host's or a GPU's. */
export class NativeMemory<N extends NativeBytes> implements BackendMemory {
  readonly native: N;
  readonly byteLength: number;
  readonly readOnly: boolean;

  constructor(native: N, readOnly: boolean) {
    this.native = native;
    this.byteLength = native.byteLength;
    this.readOnly = readOnly;
  }
  write(bytes: Uint8Array, offset: number): void {
    nativeCall(() => this.native.write(bytes, offset));
  }
  read(target: Uint8Array, offset: number): void {
    nativeCall(() => this.native.read(target, offset));
  }
  release(): void {
    this.native.release();
  }
}
