// Bad input on the path that every Metal device takes: launch(), then prepareLaunch().
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import { launch as declaredLaunch } from '../../ts/device/command-list.ts';
import { TilewrightError } from '../../ts/index.ts';
import { copy as cpuCopy } from '../../ts/kernels/elementwise.ts';
import { copy } from '../../ts/kernels/metal/copy.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { GEMM_TILES, gemm, gemv } from '../../ts/kernels/metal/matmul.ts';
import { CONSTANT_TYPES, checkGeometry, METAL_LIMITS, prepareLaunch } from '../../ts/kernels/metal/prepare.ts';
import { softmax } from '../../ts/kernels/metal/softmax.ts';
import { compileKernels } from '../../ts/testbed/check.ts';
import { dispatch } from '../../ts/testbed/dispatch.ts';
import { type MatmulCase, matmulLaunch } from './matmul-case.ts';
import { hasClang, prepare, sanitized } from './support.ts';

const GEMV = { rows: 4, columns: 1, split: 1, simdgroups: 2 };

interface Changes {
  readonly test?: Partial<MatmulCase>;
  readonly constants?: Readonly<Record<string, number>>;
  readonly params?: object;
  readonly buffers?: Readonly<Record<string, Uint8Array | undefined>>;
  readonly offsets?: Readonly<Record<string, number>>;
}
/** A small product that is right but for the changes. */
function prepared({ test, constants, params, buffers, offsets }: Changes, kernel: unknown = gemv) {
  const own = matmulLaunch(kernel as AnyMetalKernel, { m: 1, n: 8, k: 64, bType: 'q8_0', ...test }, () => GEMV).launch;
  return prepare({
    kernel: own.kernel,
    constants: { ...own.constants, ...constants },
    params: { ...own.params, ...params } as never,
    buffers: Object.fromEntries(
      Object.entries({ ...own.buffers, ...buffers }).filter(([, data]) => data !== undefined),
    ) as never,
    offsets: { ...own.offsets, ...offsets },
  });
}

function error(work: () => unknown): TilewrightError {
  try {
    work();
  } catch (caught) {
    if (caught instanceof TilewrightError) return caught;
    throw caught;
  }
  throw new Error('nothing was thrown');
}
const refused = (changes: Changes, kernel?: unknown) => error(() => prepared(changes, kernel));

describe('a launch of a Metal kernel', () => {
  it('is turned into a function, constants, a grid, parameters and buffers', () => {
    const { entry, constants, geometry, params, paramsIndex, buffers } = prepared({})!;
    expect(entry).toBe('gemv_q8_0_r4_c1');
    expect(geometry).toEqual({ threadgroups: [1, 1, 1], threads: [64, 1, 1], threadgroupBytes: [16] });
    expect(params.byteLength % 4).toBe(0);
    expect(paramsIndex).toBe(gemv.bufferNames.length);
    expect(buffers.map(({ index }) => index)).toEqual([0, 1, 2]);
    const words = new Uint32Array(constants.buffer);
    expect(words.length).toBe(3 * gemv.constants.length);
    const at = gemv.constants.indexOf('has_bias');
    expect([...words.slice(3 * at, 3 * at + 3)]).toEqual([at, CONSTANT_TYPES.bool, 0]);
  });

  it('is none when the problem is empty', () => {
    expect(prepared({ params: { n: 0 } })).toBeNull();
    expect(prepared({ params: { m: 0 } })).toBeNull();
    expect(prepared({ params: { batch: [1, 0, 1, 1] } })).toBeNull();
  });

  it('needs a kernel of Metal', () => {
    const { code, message } = error(() =>
      prepareLaunch({ kernel: cpuCopy as never, bindings: [], constants: [], params: {} }),
    );
    expect(code).toBe('ERR_KERNEL_UNKNOWN');
    expect(message).toMatch('copy is no Metal kernel');
  });

  it('needs its buffers, of the right size, and bound inside of them', () => {
    expect(refused({ buffers: { b: undefined } })).toMatchObject({
      code: 'ERR_KERNEL_LAUNCH',
      details: { kernel: 'metal_gemv', buffer: 'b' },
    });
    expect(refused({ buffers: { a: new Uint8Array(255) } })).toMatchObject({
      code: 'ERR_OUT_OF_BOUNDS',
      details: { buffer: 'a', from: 0, to: 256, byteLength: 255 },
    });
    for (const offset of [4, -4, Number.NaN]) {
      expect(refused({ offsets: { a: offset } }).code).toBe('ERR_OUT_OF_BOUNDS');
    }
    expect(refused({ params: { k: -1 } }).code).toBe('ERR_OUT_OF_BOUNDS');
    expect(refused({ params: { b_stride: [68 * 2, 0] } }).details).toMatchObject({ buffer: 'b' });
  });

  it('has exactly the optional buffers that its constants name', () => {
    expect(refused({ constants: { has_bias: 1 } }).message).toMatch('"bias" is not bound, but "has_bias" is 1');
    const own = refused({ test: { bias: true }, constants: { has_bias: 0 } });
    expect(own.code).toBe('ERR_KERNEL_LAUNCH');
    expect(own.message).toMatch('"bias" is bound, but "has_bias" is 0');
  });

  it('does not write to read-only memory', () => {
    const buffer = (readOnly: boolean) => ({
      buffer: { byteLength: 64, readOnly } as DeviceBuffer,
      byteOffset: 0,
    });
    const ones = [1, 1, 1, 1, 1, 1, 1, 4];
    const { code } = error(() =>
      declaredLaunch(copy, {
        buffers: { src: buffer(true), dst: buffer(true) },
        constants: { src_dtype: 0, dst_dtype: 0, vector: 0, method: 0 },
        params: { shape: ones, src_stride: ones, dst_stride: ones },
      }),
    );
    expect(code).toBe('ERR_INVALID_ARGUMENT');
  });

  it.each([
    ['a fraction', { rows: 1.5 }, '"rows" is an unsigned'],
    ['a negative number', { activation: -1 }, '"activation" is an unsigned'],
    ['an activation that nobody knows', { activation: 8 }, '"activation" is one of 0, 1'],
    ['a switch of 2', { has_gate: 2 }, '"has_gate" is 0 or 1'],
    ['a format that nobody knows', { b_dtype: 99 }, 'no format has id 99'],
    ['a dtype that nobody knows', { a_dtype: 9 }, 'no dtype has id 9'],
    ['integers', { out_dtype: 4 }, '"out_dtype" is one of 0, 1, 2'],
    ['a number of simdgroups without a kernel', { simdgroups: 64 }, '64 simdgroups'],
    ['vectors that the strides do not allow', { b_vector: 1 }, 'allow no such vector loads'],
  ])('refuses constants: %s', (_, constants, message) => {
    const narrow =
      'b_vector' in constants ? { buffers: { b: new Uint8Array(600) }, params: { b_stride: [69, 0] } } : {};
    const { code, message: text } = refused({ constants, ...narrow });
    expect(code).toBe('ERR_KERNEL_LAUNCH');
    expect(text).toMatch(message);
  });

  it('refuses constants that are missing, and tiles that are not there', () => {
    expect(refused({ constants: { tile: GEMM_TILES.length, whole: 0 } }, gemm).message).toMatch('no tile 9');
    const { code, message } = error(() =>
      prepareLaunch({ kernel: softmax as never, bindings: [], constants: [0, 0], params: {} }),
    );
    expect(code).toBe('ERR_KERNEL_LAUNCH');
    expect(message).toMatch('"mask_dtype" is an unsigned 32-bit number, not undefined');
  });

  it('refuses parameters that do not fit the struct', () => {
    const fields = (params: object) =>
      prepareLaunch({
        ...{ kernel: gemv as never, bindings: [], constants: gemv.constants.map(() => 0) },
        params: {
          ...matmulLaunch(gemv as never, { m: 1, n: 8, k: 64, bType: 'f32' }, () => GEMV).launch.params,
          ...params,
        } as never,
      });
    expect(error(() => fields({ m: 1.5 })).message).toMatch('"m" is no i64: 1.5');
    expect(error(() => fields({ n: Number.NaN })).message).toMatch('"n" is no i64');
    expect(error(() => fields({ a_stride: 4 })).message).toMatch('"a_stride" is up to 2 numbers');
    expect(error(() => fields({ batch: [1, 1, 1, 1, 1] })).message).toMatch('"batch" is up to 4 numbers');
  });

  it('refuses offsets at which the vector loads of its constants are not aligned', () => {
    const b = new Uint8Array(8 * 68 + 1);
    const { code, message } = refused({ buffers: { b }, offsets: { b: 1 } });
    expect(code).toBe('ERR_KERNEL_LAUNCH');
    expect(message).toMatch('"b" is bound at byte 1, which is no multiple of 2');
    expect(prepared({ buffers: { b }, offsets: { b: 1 }, constants: { b_vector: 0 } })).not.toBeNull();
  });

  it('refuses a grid of nothing, and what exceeds the device', () => {
    const grid = { threadgroups: [1, 1, 1], threads: [32, 1, 1] } as const;
    expect(checkGeometry('mine', grid)).toEqual({ ...grid, threadgroupBytes: [] });
    expect(checkGeometry('mine', { ...grid, threadgroupBytes: [20] }).threadgroupBytes).toEqual([32]);
    const geometry = (change: object) => error(() => checkGeometry('mine', { ...grid, ...change }));
    for (const threadgroups of [
      [0, 1, 1],
      [1, Number.NaN, 1],
      [2 ** 32, 1, 1],
      [1.5, 1, 1],
      [1, 1],
    ]) {
      const { code, message } = geometry({ threadgroups });
      expect(code).toBe('ERR_KERNEL_LAUNCH');
      expect(message).toMatch('Kernel mine cannot be launched: its grid is empty or too large');
    }
    expect(geometry({ threads: [32, 0, 1] }).message).toMatch('[32, 0, 1] threads is none');
    expect(geometry({ threads: [1024, 2, 1] }).message).toMatch('2048 threads; the device');
    expect(geometry({ threadgroupBytes: [32768, 4] }).message).toMatch('limit is 32768');
    expect(geometry({ threadgroupBytes: [-16] }).message).toMatch('positive');
    const small = { ...METAL_LIMITS, maxThreadgroupThreads: 32 };
    const launch = matmulLaunch(gemv as never, { m: 1, n: 8, k: 64, bType: 'f32' }, () => GEMV).launch;
    const checked = declaredLaunch(gemv, {
      buffers: {
        a: { buffer: { byteLength: 256, readOnly: false } as DeviceBuffer, byteOffset: 0 },
        b: { buffer: { byteLength: 2048, readOnly: false } as DeviceBuffer, byteOffset: 0 },
        out: { buffer: { byteLength: 32, readOnly: false } as DeviceBuffer, byteOffset: 0 },
      },
      constants: { ...Object.fromEntries(gemv.constants.map((name) => [name, 0])), ...launch.constants } as never,
      params: launch.params,
    });
    expect(prepareLaunch(checked)).not.toBeNull();
    expect(error(() => prepareLaunch(checked, small)).message).toMatch('64 threads; the device');
  });
});

describe.skipIf(!hasClang)('a shader', () => {
  it('that does not parse is a typed error with file and line', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tilewright-errors-'));
    try {
      const path = join(directory, 'wrong.metal');
      for (const [body, rule] of [
        ['x[i] = 1.0f', 'type'], // no semicolon
        ['x[i] = nothing;', 'undeclared'],
        ['x[i] = 1.0f; }}', 'rewrite'],
      ] as const) {
        writeFileSync(
          path,
          `#include <metal_stdlib>\nkernel void k(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n  ${body}\n}\n`,
        );
        const caught = await compileKernels(path, 'run').catch((reason: unknown) => reason);
        expect(caught).toBeInstanceOf(TilewrightError);
        expect(caught).toMatchObject({ code: 'ERR_KERNEL_COMPILE', details: { file: path } });
        const [finding] = (caught as TilewrightError).details.findings as {
          rule: string;
          file: string;
          line: number;
        }[];
        expect(finding).toMatchObject({ rule, file: path });
        expect([3, 4]).toContain(finding!.line);
        expect((caught as TilewrightError).message).toMatch(/wrong\.metal:[34]: /);
      }
      await expect(compileKernels(join(directory, 'nowhere.metal'), 'run')).rejects.toMatchObject({
        code: 'ERR_FILE',
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('has only the functions that it has', async () => {
    const module = await sanitized('copy.metal');
    const request = { kernel: 'copy_nothing', grid: [1, 1, 1], group: [1, 1, 1], buffers: [] } as const;
    await expect(dispatch(module, request)).rejects.toMatchObject({
      code: 'ERR_KERNEL_UNKNOWN',
      details: { kernels: ['copy_elements', 'copy_transposed'] },
    });
  });
});
