import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TilewrightError } from '../errors.ts';
import type { CompiledModule } from './compile.ts';
import { buildRuntime, cached, findToolchain, hash, hashTree, packageRoot, runTool } from './toolchain.ts';

const FLAGS = ['-std=c++17', '-O2', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra', '-shared'];

/**
 * The software HIP device as a driver library: `openDevice({ backend: 'hip', driver })` runs kernels of the test bed on
 * it. Built when it is not in the cache.
 */
export async function buildSoftHip(): Promise<string> {
  const tools = await findToolchain();
  const runtime = await buildRuntime();
  const sources = join(packageRoot(), 'Sources', 'SoftHip');
  const key = hash(tools.version, hashTree(sources), runtime, ...FLAGS);
  const directory = await cached(`soft-hip-${key}`, async (target) => {
    const files = readdirSync(sources).filter((name) => name.endsWith('.cpp'));
    const result = await runTool(tools.clangxx, [
      ...FLAGS,
      ...files.map((name) => join(sources, name)),
      ...['-o', join(target, 'libsofthip.so'), `-L${runtime}`, '-lsimt', `-Wl,-rpath,${runtime}`, '-pthread'],
    ]);
    if (result.code !== 0) {
      throw new TilewrightError('ERR_NATIVE_FAILURE', `The software HIP device does not compile: ${result.stderr}`);
    }
  });
  return join(directory, 'libsofthip.so');
}

/** What the software device takes in place of a code object: see Sources/SoftHip/module.cpp. */
export function softModule(module: CompiledModule, wave: 32 | 64): Uint8Array {
  const lines = ['tilewright soft module 1', `wave ${wave}`, `path ${module.path}`];
  for (const { name, parameters, maxThreads } of module.signature.kernels) {
    const pointers = parameters
      .filter(({ kind, space }) => kind === 'buffer' && space === 'device')
      .map(({ readOnly }) => (readOnly === true ? 'r' : 'w'));
    lines.push(`kernel ${maxThreads ?? 0} ${pointers.join('') || '-'} ${name}`);
  }
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}
