// Tokens a second that others published; nothing here was measured by this package.

/** LLaMA 7B of llama.cpp: a prompt of 512 tokens, and 128 tokens that are generated one by one. */
export interface PublishedRun {
  readonly chip: string;
  readonly weights: 'f16' | 'q8_0' | 'q4_0';
  readonly prefill: number;
  readonly decode: number;
}

type Row = readonly [chip: string, ...numbers: (number | null)[]];

/**
 * https://github.com/ggml-org/llama.cpp/discussions/4167 (builds of late 2023): chip, then prefill and decode of F16,
 * Q8_0 and Q4_0. The versions with little memory have no F16.
 */
const TABLE: readonly Row[] = [
  ['m1-7', null, null, 108.21, 7.92, 107.81, 14.19],
  ['m1', null, null, 117.25, 7.91, 117.96, 14.15],
  ['m1-pro-14', 262.65, 12.75, 235.16, 21.95, 232.55, 35.52],
  ['m1-pro', 302.14, 12.75, 270.37, 22.34, 266.25, 36.41],
  ['m1-max-24', 453.03, 22.55, 405.87, 37.81, 400.26, 54.61],
  ['m1-max', 599.53, 23.03, 537.37, 40.2, 530.06, 61.19],
  ['m1-ultra-48', 875.81, 33.92, 783.45, 55.69, 772.24, 74.93],
  ['m1-ultra', 1168.89, 37.01, 1042.95, 59.87, 1030.04, 83.73],
  ['m2-8', null, null, 147.27, 12.18, 145.91, 21.7],
  ['m2', 201.34, 6.72, 181.4, 12.21, 179.57, 21.91],
  ['m2-pro-16', 312.65, 12.47, 288.46, 22.7, 294.24, 37.87],
  ['m2-pro', 384.38, 13.06, 344.5, 23.01, 341.19, 38.86],
  ['m2-max-30', 600.46, 24.16, 540.15, 39.97, 537.6, 60.99],
  ['m2-max', 755.67, 24.65, 677.91, 41.83, 671.31, 65.95],
  ['m2-ultra-60', 1128.59, 39.86, 1003.16, 62.14, 1013.81, 88.64],
  ['m2-ultra', 1401.85, 41.02, 1248.59, 66.64, 1238.48, 94.27],
];

export const PUBLISHED_RUNS: readonly PublishedRun[] = TABLE.flatMap(([chip, ...numbers]) =>
  (['f16', 'q8_0', 'q4_0'] as const).flatMap((weights, i) => {
    const [prefill, decode] = [numbers[2 * i], numbers[2 * i + 1]];
    return prefill == null || decode == null ? [] : [{ chip, weights, prefill, decode }];
  }),
);

/** One matmul that somebody timed: no constant was fitted to these. */
export interface PublishedMatmul {
  readonly source: string;
  /** Whose kernel: those of llama.cpp are modelled as such, the others as the package's. */
  readonly kernels: 'llama.cpp' | 'MLX' | 'metal2vk' | 'ThunderMittens';
  readonly chip: string;
  readonly weights: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly ms: number;
}

type From = Pick<PublishedMatmul, 'source' | 'kernels'>;
const cube = (from: From, chip: string, weights: string, size: number, ms: number): PublishedMatmul => ({
  ...{ ...from, chip, weights, m: size, n: size, k: size, ms },
});
/** A cube from TFLOP/s. */
const rate = (from: From, chip: string, weights: string, size: number, tflops: number): PublishedMatmul =>
  cube(from, chip, weights, size, (2 * size ** 3) / tflops / 1e9);
const gemv = (from: From, chip: string, weights: string, n: number, k: number, ms: number): PublishedMatmul => ({
  ...{ ...from, chip, weights, m: 1, n, k, ms },
});

const MLX: From = { source: 'https://github.com/ml-explore/mlx/issues/3196', kernels: 'MLX' };
const VULKAN: From = { source: 'https://github.com/joshuaswarren/metal2vk', kernels: 'metal2vk' };
const GGML: From = { source: 'https://github.com/ggml-org/llama.cpp/issues/25250', kernels: 'llama.cpp' };
const MITTENS: From = { source: 'https://github.com/QuixiAI/ThunderMittens', kernels: 'ThunderMittens' };

export const PUBLISHED_MATMULS: readonly PublishedMatmul[] = [
  rate(MLX, 'm4', 'bf16', 10000, 2.74),
  cube(MLX, 'm4-max', 'bf16', 2048, 1.233),
  cube(MLX, 'm4-max', 'bf16', 1024, 0.176),
  rate(MLX, 'm3-ultra-60', 'bf16', 10000, 17.65),
  rate(VULKAN, 'm1', 'f16', 1024, 1.36),
  rate(VULKAN, 'm1-max', 'f16', 1024, 4.13),
  rate(VULKAN, 'm2-max', 'f16', 1024, 4.66),
  gemv(GGML, 'm4-pro', 'q4_0', 14336, 4096, 0.1376),
  gemv(MITTENS, 'm4-max', 'q4_k', 11008, 4096, 0.09),
  gemv(MITTENS, 'm4-max', 'q5_k', 11008, 4096, 0.115),
  gemv(MITTENS, 'm4-max', 'q6_k', 11008, 4096, 0.116),
  gemv(MITTENS, 'm4-max', 'iq4_xs', 11008, 4096, 0.083),
  gemv(MITTENS, 'm4-max', 'mxfp4', 11008, 4096, 0.098),
  gemv(MITTENS, 'm4-max', 'q4_k', 32000, 4096, 0.24),
];
