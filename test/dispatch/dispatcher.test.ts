import { expect, it } from 'vitest';
import {
  copyLaunch,
  encodeExperts,
  getRowsCommand,
  type MatmulArgs,
  MatmulDispatcher,
  MatmulVariant,
  softmaxLaunch,
} from '../../ts/index.ts';
import { BACKEND, testDevice } from '../support/device.ts';

const device = await testDevice();
const dispatcher = new MatmulDispatcher(device);
const quantized = (n: number, k: number) =>
  device.quantized(new Uint8Array((n * k * 144) / 256), { format: 'q4_k', shape: [n, k] });

const hipGemm = device.capabilities.kernels.has('hip_gemm_bf16') ? 'hip_gemm_bf16' : 'hip_gemm';
/** Where weights are streamed, and where they are tiled: with activations of 8 bits, and without. */
const KERNELS = {
  cpu: { fast: ['quant_gemv', 'quant_gemm'], exact: ['gemv', 'gemm'] },
  metal: { fast: ['metal_gemv', 'metal_gemm'], exact: ['metal_gemv', 'metal_gemm'] },
  hip: { fast: ['hip_gemv', hipGemm], exact: ['hip_gemv_exact', 'hip_gemm_dense'] },
}[BACKEND];

it.each([
  [1, 'fast', MatmulVariant.QuantGemv, KERNELS.fast[0]!],
  [4, 'fast', MatmulVariant.QuantGemvBatch, KERNELS.fast[0]!],
  [512, 'fast', MatmulVariant.QuantGemm, KERNELS.fast[1]!],
  [1, 'exact', MatmulVariant.QuantGemv, KERNELS.exact[0]!],
  [512, 'exact', MatmulVariant.QuantGemm, KERNELS.exact[1]!],
] as const)('takes the expected kernel for %i rows of quantized weights, %s', (m, precision, variant, kernel) => {
  const selection = dispatcher.select({ a: device.empty([m, 256]), b: quantized(16, 256), precision });
  expect(selection).toMatchObject({ variant, kernel });
});

it('moves from GEMV to GEMM once, as rows are added', () => {
  for (const precision of ['exact', 'fast'] as const) {
    const kernels = Array.from(
      { length: 40 },
      (_, i) => dispatcher.select({ a: device.empty([i + 1, 256]), b: quantized(4, 256), precision }).kernel,
    );
    const changes = kernels.filter((kernel, i) => i > 0 && kernel !== kernels[i - 1]).length;
    expect(changes).toBe(1);
  }
});

it('gives the same selection object for the same form of arguments', () => {
  const args = (): MatmulArgs => ({ a: device.empty([2, 8]), b: device.empty([8, 3]), bias: device.empty([3]) });
  expect(dispatcher.select(args())).toBe(dispatcher.select(args()));
  expect(dispatcher.select({ ...args(), alpha: 2 })).not.toBe(dispatcher.select(args()));
  expect(dispatcher.select({ ...args(), activation: 'relu' })).not.toBe(dispatcher.select(args()));
  const strided = { ...args(), b: device.empty([3, 8]).transpose() };
  expect(dispatcher.select(strided)).not.toBe(dispatcher.select(args()));
});

it('explains every candidate, as data and as text', () => {
  const explanation = dispatcher.explain({ a: device.empty([64, 256]), b: quantized(16, 256), precision: 'fast' });
  expect(explanation.variant).toBe(MatmulVariant.QuantGemm);
  expect(explanation.candidates.filter(({ verdict }) => verdict === 'chosen')).toHaveLength(1);
  expect(explanation.candidates.every(({ reason }) => reason.length > 10)).toBe(true);
  expect(String(explanation)).toContain('m=64 n=16 k=256');
  for (const { kernel, reason } of explanation.candidates) {
    expect(String(explanation)).toContain(kernel);
    expect(String(explanation)).toContain(reason);
  }
});

it('explains matmuls that no kernel takes', () => {
  const explanation = dispatcher.explain({ a: device.empty([2, 4]), b: device.empty([4, 4]), outDType: 'i8' });
  expect(explanation.variant).toBeNull();
  expect(explanation.candidates.every(({ verdict }) => verdict === 'refused')).toBe(true);
});

it('folds a batch that shares its weights into the rows', () => {
  const shared = dispatcher.select({ a: device.empty([4, 16, 32]), b: device.empty([32, 8]) });
  expect(shared.problem).toMatchObject({ m: 64, batch: [] });
  const own = dispatcher.select({ a: device.empty([4, 16, 32]), b: device.empty([4, 32, 8]) });
  expect(own.problem).toMatchObject({ m: 16, batch: [4] });
  const vectors = dispatcher.select({ a: device.empty([4, 1, 32]), b: device.empty([32, 8]) });
  expect(vectors.problem).toMatchObject({ m: 4, batch: [] });
});

const a = device.empty([2, 8]);
const b = device.empty([8, 3]);
it.each<[string, string, () => unknown]>([
  ['inner sizes that differ', 'ERR_SHAPE_MISMATCH', () => ({ a, b: device.empty([7, 3]) })],
  [
    'batches that do not broadcast',
    'ERR_SHAPE_MISMATCH',
    () => ({ a: device.empty([2, 2, 8]), b: device.empty([3, 8, 3]) }),
  ],
  ['a result of another shape', 'ERR_SHAPE_MISMATCH', () => ({ a, b, out: device.empty([3, 2]) })],
  ['a result with stride 0', 'ERR_INVALID_ARGUMENT', () => ({ a, b, out: device.empty([1, 3]).broadcastTo([2, 3]) })],
  ['a bias of another length', 'ERR_SHAPE_MISMATCH', () => ({ a, b, bias: device.empty([2]) })],
  ['beta with nothing to scale', 'ERR_INVALID_ARGUMENT', () => ({ a, b, beta: 1 })],
  ['a gate of another shape', 'ERR_SHAPE_MISMATCH', () => ({ a, b, gate: device.empty([8, 4]) })],
  [
    'a gate of another type',
    'ERR_SHAPE_MISMATCH',
    () => ({ a: device.empty([1, 256]), b: quantized(3, 256), gate: device.empty([3, 256]) }),
  ],
  ['a gate bias without a gate', 'ERR_INVALID_ARGUMENT', () => ({ a, b, gateBias: device.empty([3]) })],
  ['an unknown activation', 'ERR_INVALID_ARGUMENT', () => ({ a, b, activation: 'swish' })],
  [
    'quantized weights that are not [n, k]',
    'ERR_SHAPE_MISMATCH',
    () => ({ a, b: quantized(8, 256), transposeB: false }),
  ],
  [
    'affine entries for GGUF blocks',
    'ERR_INVALID_ARGUMENT',
    () => ({ a: device.empty([1, 256]), b: quantized(8, 256), quantization: { scale: 1 } }),
  ],
  [
    'groups that do not cover k',
    'ERR_SHAPE_MISMATCH',
    () => ({ a, b, quantization: { scale: device.empty([3, 2]), groupSize: 3 } }),
  ],
  ['a variant that may not run', 'ERR_NO_KERNEL', () => ({ a, b, variant: 'QuantGemm' })],
  ['a quantized left operand', 'ERR_INVALID_ARGUMENT', () => ({ a: quantized(2, 256), b })],
])('refuses %s', (_, code, args) => {
  expect(() => dispatcher.select(args() as MatmulArgs)).toThrowError(expect.objectContaining({ code }));
});

it('refuses a result in memory that is read meanwhile, but for a residual that it replaces', async () => {
  const square = device.empty([8, 8]);
  const row = square.slice({ end: 1 });
  const halves = device.empty([8, 16]);
  const [left, right] = [halves.slice(null, { end: 8 }), halves.slice(null, { start: 8 })];
  const shared = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
  for (const args of [
    { a: square, b: device.empty([8, 8]), out: square },
    { a: row, b: square, out: square.slice({ start: 3, end: 4 }) },
    { a: square, b: square, gate: device.empty([8, 8]), out: square.transpose() },
    { a: square, b: square, residual: halves.slice({ end: 1 }, { end: 8 }), out: left },
    { a: left, b: right, residual: square.transpose(), out: square },
  ]) {
    expect(() => dispatcher.encode(args)).toThrowError(shared);
  }
  dispatcher.encode({ a: left, b: square, out: right });
  dispatcher.encode({ a: left, b: right, residual: square, out: square });
  const ids = device.empty([8, 1], { dtype: 'i32' });
  const experts = { a: square, b: device.empty([1, 8, 8]), ids, out: square.reshape([8, 1, 8]) };
  expect(() => encodeExperts(dispatcher, experts)).toThrowError(shared);
  expect(() => copyLaunch(square, square.transpose())).toThrowError(shared);
  expect(() => softmaxLaunch(square, square, { mask: row })).toThrowError(shared);
  expect(() => getRowsCommand(square, device.empty([8], { dtype: 'i32' }), square)).toThrowError(shared);
});

it('refuses tuning that its kernels cannot serve', () => {
  expect(() => new MatmulDispatcher(device, { tuning: { quantGemvRows: 65 } })).toThrowError(/quantGemvRows/);
  expect(() => new MatmulDispatcher(device, { tuning: { gemvRows: 0 } })).toThrowError(/gemvRows/);
  expect(() => new MatmulDispatcher(device, { tuning: { rows: 1 } })).toThrowError(/tuning.rows is not known/);
});

it('follows the tuning that it is given', () => {
  const tuned = new MatmulDispatcher(device, { tuning: { gemvRows: 1 } });
  expect(tuned.select({ a, b }).variant).toBe(MatmulVariant.GemmTiled);
});

it('refuses work after it was disposed', async () => {
  const closed = new MatmulDispatcher(device);
  closed.dispose();
  await expect(closed.matmul({ a, b })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
});
