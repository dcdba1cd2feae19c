// What the GPU kernels are compiled for, and how.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const AMD_TARGETS = [
  ...['gfx906', 'gfx908', 'gfx90a', 'gfx942'],
  ...['gfx1030', 'gfx1100', 'gfx1101', 'gfx1102', 'gfx1150', 'gfx1151', 'gfx1200', 'gfx1201'],
] as const;
/** Intermediate code that NVIDIA's driver compiles for its GPU: this generation and later ones. */
export const NVIDIA_TARGETS = ['sm_80'] as const;
export const TARGETS: readonly string[] = [...AMD_TARGETS, ...NVIDIA_TARGETS];

/** What `npm test` compiles: a target of each wave size. All of them take minutes; a change to the tables needs them. */
export const GATE_TARGETS: readonly string[] = ['gfx906', 'gfx1100'];

export const isAmd = (target: string): boolean => target.startsWith('gfx');

const COMMON = [
  ...['--cuda-device-only', '-O3', '-std=c++17', '-ffreestanding', '-Wall', '-Wextra', '-Werror'],
  ...[`-I${join(root, 'Sources/KernelABI/include')}`, `-I${join(root, 'hip')}`],
];
/** From a kernel file to assembly: AMD's, which is kept for counting, or NVIDIA's PTX. */
export function compileFlags(target: string): readonly string[] {
  if (isAmd(target)) {
    return [
      '-x',
      'hip',
      `--offload-arch=${target}`,
      '--no-gpu-bundle-output',
      '-nogpuinc',
      '-nogpulib',
      ...COMMON,
      '-S',
    ];
  }
  const cuda = ['--cuda-path=/nonexistent', '-nocudainc', '-nocudalib', '-Wno-unknown-cuda-version'];
  return ['-x', 'cuda', `--cuda-gpu-arch=${target}`, '--cuda-feature=+ptx78', ...cuda, ...COMMON, '-S'];
}
/** From AMD's assembly to a code object, by the assembler and linker of LLVM. */
export const assembleFlags = (target: string): readonly string[] => [
  ...['-x', 'assembler', '--target=amdgcn-amd-amdhsa', `-mcpu=${target}`, '-nogpulib'],
];
