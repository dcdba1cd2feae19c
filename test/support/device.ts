import { afterAll } from 'vitest';
import { loadNative } from '../../ts/backends/native.ts';
import { openDevice } from '../../ts/backends/open.ts';

/** Instruction sets that this machine runs: every one of them is tested, not only the best. */
export const isas: readonly string[] = loadNative()
  .isas()
  .flatMap(({ name, supported }) => (supported ? [name] : []));

/** A CPU device for the tests of a file, closed after them. */
export async function testDevice(options: { readonly isa?: string; readonly threads?: number } = {}) {
  const device = await openDevice({ backend: 'cpu', threads: 2, pin: false, ...options });
  afterAll(() => device.dispose());
  return device;
}
