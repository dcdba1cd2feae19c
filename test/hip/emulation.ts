import { type CompiledModule, type CompileOptions, compile } from '../../ts/testbed/compile.ts';
import { type DispatchResult, dispatch } from '../../ts/testbed/dispatch.ts';

export type Target = 'gfx906' | 'gfx908' | 'gfx90a' | 'gfx942' | 'gfx1030' | 'gfx1100' | 'gfx1201';
export const waveOf = (target: Target): 32 | 64 => (/^gfx9/.test(target) ? 64 : 32);

/** A module of hand-made kernels: bodies that see `lane`, `in` and `out` (ints, one per thread). */
export async function hipModule(target: Target, bodies: Readonly<Record<string, string>>): Promise<CompiledModule> {
  const kernels = Object.entries(bodies).map(
    ([name, body]) =>
      `extern "C" __global__ void ${name}(const int* in, int* out) {\n  const int lane = threadIdx.x; (void)lane;\n${body}\n}`,
  );
  const source = { path: 'k.hip', dialect: 'hip', text: `# 1 "k.hip"\n${kernels.join('\n')}\n` } as const;
  const options: CompileOptions = { target, wave: waveOf(target) };
  const module = await compile(source, 'sanitize', options);
  if (!('path' in module)) throw new Error(module.map(({ message, line }) => `${line}: ${message}`).join('\n'));
  return module;
}

/** One workgroup of `threads` on int buffers. */
export async function runInts(
  module: CompiledModule,
  kernel: string,
  input: readonly number[],
  outputs: number,
  threads: number,
): Promise<{ out: number[]; findings: DispatchResult['findings'] }> {
  const result = await dispatch(module, {
    kernel,
    grid: [1, 1, 1],
    group: [threads, 1, 1],
    buffers: [
      { index: 0, data: new Uint8Array(Int32Array.from(input).buffer) },
      { index: 1, data: { bytes: outputs * 4 } },
    ],
  });
  const bytes = result.buffers.get(1)!;
  return { out: [...new Int32Array(bytes.buffer, bytes.byteOffset, outputs)], findings: result.findings };
}

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
