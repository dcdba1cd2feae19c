import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { CompileReply } from '../../ts/testbed/compile-service.ts';
import { findToolchain } from '../../ts/testbed/toolchain.ts';

const hasClang = await findToolchain().then(
  () => true,
  () => false,
);
const program = fileURLToPath(new URL('../../ts/testbed/compile-service.ts', import.meta.url));

function service(source: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, ...args], {
    input: source,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stderr, reply: JSON.parse(stdout) as CompileReply };
}

const SOURCE = `#include <metal_stdlib>
using namespace metal;
kernel void twice(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 2.0f; }
`;

describe.skipIf(!hasClang)('the compile service', () => {
  it('gives a module and its signature', () => {
    const { status, reply } = service(SOURCE, ['--runtime']);
    expect(status).toBe(0);
    if ('error' in reply) throw new Error(reply.error.message);
    expect(existsSync(reply.module ?? '')).toBe(true);
    expect(existsSync(`${reply.runtime}/libsimt.so`)).toBe(true);
    expect(reply.signature.kernels.map(({ name }) => name)).toEqual(['twice']);
  });

  it('checks a source without compiling it', () => {
    expect(service(SOURCE, ['--check'])).toMatchObject({
      status: 0,
      reply: { signature: { kernels: [{ name: 'twice' }] } },
    });
    const { status, reply } = service(SOURCE.replace('2.0f', 'y'), ['--check']);
    expect(status).toBe(1);
    expect(reply).toMatchObject({ error: { code: 'ERR_KERNEL_COMPILE', findings: [{ line: 3 }] } });
  });

  it('names file and line of what does not compile, as #line says', () => {
    const { status, reply } = service(`#line 40 "own.metal"\n${SOURCE.replace('x[i]', 'y[i]')}`);
    expect(status).toBe(1);
    expect(reply).toMatchObject({ error: { code: 'ERR_KERNEL_COMPILE', findings: [{ file: 'own.metal', line: 42 }] } });
    expect('error' in reply && reply.error.message).toMatch(/^own\.metal:42: .*'y'/);
  });

  it('says what is missing, and what is not understood', () => {
    expect(service(SOURCE, [], { TILEWRIGHT_CLANG: '/nowhere/clang' })).toMatchObject({
      status: 2,
      reply: { error: { code: 'ERR_BACKEND_UNAVAILABLE', message: expect.stringContaining('clang') } },
    });
    expect(service(SOURCE, ['--nonsense'])).toMatchObject({ status: 2, reply: { error: { code: 'ERR_USAGE' } } });
  });
});
