// The test bed on shaders that others wrote, unmodified. They are not part of the repository: name a checkout of ggml
// with TILEWRIGHT_GGML=/path/to/ggml, and this runs.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkKernels } from '../../../ts/testbed/check.ts';
import { type CompiledModule, compile, preprocess } from '../../../ts/testbed/compile.ts';
import { type BufferArgument, type DispatchRequest, dispatch } from '../../../ts/testbed/dispatch.ts';
import { decode, encode, randomSource, type ScalarName } from '../../../ts/testbed/spec.ts';
import { describeWhere } from '../../support/where.ts';

const checkout = process.env.TILEWRIGHT_GGML;
const needed = checkout === undefined ? 'TILEWRIGHT_GGML=<a checkout of ggml>' : null;
const path = join(checkout ?? '', 'src/ggml-metal/ggml-metal.metal');
const options = { include: [join(checkout ?? '', 'src')], define: ['GGML_METAL_HAS_BF16'] };

/** A struct of the host, each field at its natural alignment. */
function struct(fields: readonly (readonly [ScalarName, number])[]): Uint8Array {
  const size = (type: ScalarName) => encode([0], type).length;
  const bytes = new Uint8Array(1024);
  let at = 0;
  for (const [type, value] of fields) {
    at = Math.ceil(at / size(type)) * size(type);
    bytes.set(encode([value], type), at);
    at += size(type);
  }
  return bytes.slice(0, Math.ceil(at / 8) * 8);
}
const ints = (...values: number[]) => values.map((value) => ['int', value] as const);
const longs = (...values: number[]) => values.map((value) => ['ulong', value] as const);
const shorts = (...values: number[]) => values.map((value) => ['short', value] as const);
const floats = (...values: number[]) => values.map((value) => ['float', value] as const);

function random(count: number, seed: number, type: ScalarName = 'float') {
  const next = randomSource(seed);
  const bytes = encode(
    Array.from({ length: count }, () => next() * 2 - 1),
    type,
  );
  return { bytes, values: decode(bytes, type) };
}

/** Rows of 32 codes with a half scale before them, as GGUF defines Q8_0. */
function q8_0(rows: number, k: number, seed: number) {
  const next = randomSource(seed);
  const bytes = new Uint8Array((rows * k * 34) / 32);
  const values: number[] = [];
  for (let block = 0; block < (rows * k) / 32; block++) {
    bytes.set(encode([0.01 + next() * 0.02], 'half'), block * 34);
    const scale = decode(bytes.subarray(block * 34, block * 34 + 2), 'half')[0]!;
    for (let i = 0; i < 32; i++) {
      const code = Math.floor(next() * 255) - 127;
      bytes[block * 34 + 2 + i] = code & 255;
      values.push(scale * code);
    }
  }
  return { bytes, values };
}

async function compiled(only: RegExp): Promise<CompiledModule[]> {
  const source = await preprocess(path, options);
  if (!('text' in source)) throw new Error(JSON.stringify(source));
  const modules: CompiledModule[] = [];
  for (const mode of ['run', 'sanitize'] as const) {
    const module = await compile(source, mode, { ...options, only });
    if (!('path' in module)) throw new Error(JSON.stringify(module));
    modules.push(module);
  }
  return modules;
}

/** Run plainly and sanitized in three orders; gives the outputs (the plain ones first) and what was reported. */
async function runAll(request: DispatchRequest, output: number) {
  const name = request.kernel.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const rules = new Set<string>();
  const outputs: Float32Array[] = [];
  for (const module of await compiled(new RegExp(`^${name}$`))) {
    for (const order of ['forward', 'reverse', { random: 7 }] as const) {
      const result = await dispatch(module, { ...request, order });
      for (const finding of result.findings) rules.add(`${finding.rule} ${finding.line}`);
      outputs.push(new Float32Array(result.buffers.get(output)!.slice().buffer));
    }
  }
  return { outputs, rules: [...rules] };
}

const input = (index: number, data: Uint8Array): BufferArgument => ({ index, data });

describeWhere(needed, 'ggml-metal.metal, unmodified', () => {
  it('type-checks in every instantiation', { timeout: 60_000 }, async () => {
    const report = await checkKernels(path, options);
    expect(report.findings).toEqual([]);
    expect(report.signature!.kernels.length).toBeGreaterThan(600);
  });

  it('mul_mv of Q8_0 agrees with float64 and runs clean', { timeout: 120_000 }, async () => {
    const [n, k] = [70, 1024];
    const weights = q8_0(n, k, 1);
    const x = random(k, 2);
    const row = (k / 32) * 34;
    const args = struct([
      ...ints(k, n, 1),
      ...longs(34, row, row * n, row * n),
      ...ints(k, 1, 1),
      ...longs(4, 4 * k, 4 * k, 4 * k),
      ...ints(n, 1, 2),
      ...shorts(1, 1),
    ]);
    const { outputs, rules } = await runAll(
      {
        kernel: 'kernel_mul_mv_q8_0_f32',
        grid: [n / 2, 1, 1],
        group: [32, 4, 1],
        constants: { FC_mul_mv_nsg: 4, FC_mul_mv_nxpsg: 0, FC_mul_mv_ne12: 1, FC_mul_mv_r2: 1, FC_mul_mv_r3: 1 },
        threadgroup: [32 * 2 * 4],
        buffers: [
          input(0, args),
          input(1, weights.bytes),
          input(2, x.bytes),
          { index: 3, data: { bytes: n * 4 }, mustWrite: true },
        ],
      },
      3,
    );
    expect(rules).toEqual([]);
    for (const out of outputs) {
      for (let r = 0; r < n; r++) {
        let sum = 0;
        let magnitude = 0;
        for (let i = 0; i < k; i++) {
          sum += weights.values[r * k + i]! * x.values[i]!;
          magnitude += Math.abs(weights.values[r * k + i]! * x.values[i]!);
        }
        // Pairwise in 32 lanes, some 40 roundings in a row each.
        expect(Math.abs(out[r]! - sum)).toBeLessThan(64 * 2 ** -24 * magnitude);
      }
    }
  });

  it('soft_max agrees with float64, and its barrier with mem_none is reported', { timeout: 120_000 }, async () => {
    const [rows, n] = [5, 1000];
    const x = random(rows * n, 3);
    const mask = random(rows * n, 4);
    const args = struct([
      ...ints(n, rows, 1),
      ...longs(4 * n, 4 * n * rows, 4 * n * rows),
      ...ints(rows, 1, 1),
      ...longs(4 * n, 4 * n * rows, 4 * n * rows),
      ...longs(4 * n, 4 * n * rows, 4 * n * rows),
      ...floats(0.5, 0, 1, 1),
      ...ints(0),
    ]);
    const { outputs, rules } = await runAll(
      {
        kernel: 'kernel_soft_max_f32',
        grid: [rows, 1, 1],
        group: [256, 1, 1],
        threadgroup: [32 * 4],
        buffers: [
          input(0, args),
          input(1, x.bytes),
          input(2, mask.bytes),
          { index: 3, data: { bytes: 0 }, sameAs: 1 },
          { index: 4, data: { bytes: rows * n * 4 }, mustWrite: true },
        ],
      },
      4,
    );
    // Threads read `buf` and then write it again with nothing but a mem_none barrier between.
    expect(rules.map((rule) => rule.split(' ')[0])).toEqual(['race']);
    for (const out of outputs) {
      for (let r = 0; r < rows; r++) {
        const z = Array.from({ length: n }, (_, i) => x.values[r * n + i]! * 0.5 + mask.values[r * n + i]!);
        const top = Math.max(...z);
        const total = z.reduce((sum, v) => sum + Math.exp(v - top), 0);
        for (let i = 0; i < n; i++) {
          const want = Math.exp(z[i]! - top) / total;
          expect(Math.abs(out[r * n + i]! - want)).toBeLessThan(2e-6 * want);
        }
      }
    }
  });

  it.each([
    [128, 64, 96],
    [100, 53, 256],
    [70, 33, 72],
  ])('mul_mm of f16, %i x %i x %i, agrees with float64', { timeout: 120_000 }, async (m, n, k) => {
    const a = random(m * k, 5, 'half');
    const b = random(n * k, 6);
    const args = struct([
      ...ints(k, 1),
      ...longs(2 * k, 2 * k * m, 2 * k * m),
      ...ints(1),
      ...longs(4, 4 * k, 4 * k * n, 4 * k * n),
      ...ints(m, n),
      ...shorts(1, 1),
    ]);
    const { outputs, rules } = await runAll(
      {
        kernel: 'kernel_mul_mm_f16_f32',
        grid: [Math.ceil(n / 32), Math.ceil(m / 64), 1],
        group: [128, 1, 1],
        constants: {
          FC_mul_mm_bc_inp: k % 32 !== 0,
          FC_mul_mm_bc_out: m % 64 !== 0 || n % 32 !== 0,
          FC_mul_mm_ne12: 1,
          FC_mul_mm_ne13: 1,
          FC_mul_mm_r2: 1,
          FC_mul_mm_r3: 1,
        },
        threadgroup: [8192],
        buffers: [
          input(0, args),
          input(1, a.bytes),
          input(2, b.bytes),
          { index: 3, data: { bytes: m * n * 4 }, mustWrite: true },
        ],
      },
      3,
    );
    // Rows of 70 floats are not aligned for the float4 that the kernel stores: the sanitized runs end there.
    const misaligned = m % 4 !== 0;
    expect(rules.map((rule) => rule.split(' ')[0])).toEqual(misaligned ? ['misaligned'] : []);
    for (const out of misaligned ? outputs.slice(0, 3) : outputs) {
      for (let j = 0; j < n; j++) {
        for (let i = 0; i < m; i++) {
          let sum = 0;
          let magnitude = 0;
          for (let t = 0; t < k; t++) {
            // The kernel rounds its right side to half.
            const product = a.values[i * k + t]! * b.values[j * k + t]!;
            sum += product;
            magnitude += Math.abs(product);
          }
          expect(Math.abs(out[j * m + i]! - sum)).toBeLessThan((2 ** -11 + (k + 2) * 2 ** -24) * magnitude + 1e-6);
        }
      }
    }
  });

  it('flash_attn_ext of f16, 64 wide, agrees with float64', { timeout: 240_000 }, async () => {
    const [heads, queries, keys, d] = [2, 60, 256, 64];
    const q = random(heads * queries * d, 7);
    const k = random(heads * keys * d, 8, 'half');
    const v = random(heads * keys * d, 9, 'half');
    const scale = 1 / 8;
    const row = d * 2;
    const args = struct([
      ...ints(queries, heads, 1),
      ...longs(4 * d, 4 * d * queries, 4 * d * queries * heads),
      ...ints(keys, heads, 1, d),
      ...longs(row, row * keys, row * keys * heads),
      ...ints(d),
      ...longs(row, row * keys, row * keys * heads),
      ...ints(0, 1, 1),
      ...longs(0, 0, 0),
      ...ints(heads, queries, 1),
      ...floats(scale, 0, 0, 0),
      ...ints(0),
      ...floats(0),
    ]);
    const none = new Uint8Array(64);
    const { outputs, rules } = await runAll(
      {
        kernel: 'kernel_flash_attn_ext_f16_dk64_dv64',
        grid: [Math.ceil(queries / 8), heads, 1],
        group: [32, 4, 1],
        constants: {
          FC_flash_attn_ext_has_mask: false,
          FC_flash_attn_ext_has_sinks: false,
          FC_flash_attn_ext_has_bias: false,
          FC_flash_attn_ext_has_scap: false,
          FC_flash_attn_ext_has_kvpad: false,
          FC_flash_attn_ext_bc_mask: false,
          FC_flash_attn_ext_ns10: d,
          FC_flash_attn_ext_ns20: d,
          FC_flash_attn_ext_nsg: 4,
        },
        threadgroup: [Math.ceil((8 * (d + 2 * d + 2 * 2 * 64) * 2) / 16) * 16],
        buffers: [
          input(0, args),
          input(1, q.bytes),
          input(2, k.bytes),
          input(3, v.bytes),
          ...[4, 5, 6, 7].map((index) => input(index, none)),
          { index: 8, data: { bytes: heads * queries * d * 4 }, mustWrite: true },
        ],
      },
      8,
    );
    expect(rules).toEqual([]);
    for (const out of outputs) {
      for (let h = 0; h < heads; h++) {
        for (let i = 0; i < queries; i++) {
          const scores = Array.from({ length: keys }, (_, j) => {
            let sum = 0;
            for (let t = 0; t < d; t++) sum += q.values[(h * queries + i) * d + t]! * k.values[(h * keys + j) * d + t]!;
            return sum * scale;
          });
          const top = Math.max(...scores);
          const weights = scores.map((s) => Math.exp(s - top));
          const total = weights.reduce((sum, w) => sum + w, 0);
          for (let t = 0; t < d; t++) {
            let want = 0;
            for (let j = 0; j < keys; j++) want += (weights[j]! / total) * v.values[(h * keys + j) * d + t]!;
            // Queries are rounded to half: |score error| < 2^-11 * sum |q k| * scale < 2^-11 * 8.
            expect(Math.abs(out[(i * heads + h) * d + t]! - want)).toBeLessThan(4e-3);
          }
        }
      }
    }
  });
});
