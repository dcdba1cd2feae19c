import type { TuningEntry, TuningLimits } from '../tuning.ts';

/** Rows that the kernels themselves take at most; `gemv` takes any number, in passes of 8. */
export const LIMITS: TuningLimits = { gemvRows: [1, 64], exactGemvRows: [1, 64], quantGemvRows: [1, 16] };

/**
 * Measured on two cores of an AMD EPYC (Zen 4) at 4096 x 8192, medians of 7, in ms, streamed / packed:
 *
 * | rows | f32 avx512 | f32 avx2 | q4_k exact avx512 | q4_k exact avx2 | q4_k fast avx512 | q4_k fast avx2 |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | 4 | 8.0 / 10.6 | 5.9 / 17.4 | 4.2 / 6.4 | 5.3 / 18.5 | 1.3 / 1.7 | 1.8 / 2.3 |
 * | 8 | 6.5 / 10.2 | 9.9 / 10.8 | 7.5 / 7.9 | 7.9 / 5.5 | 1.8 / 2.4 | 2.4 / 2.7 |
 * | 12 | 10.5 / 9.8 | 15.2 / 21.8 | 11.7 / 7.6 | 13.2 / 15.5 | 2.3 / 2.4 | 3.1 / 3.9 |
 * | 16 | 12.8 / 9.7 | 21.3 / 12.1 | 14.9 / 7.7 | 16.1 / 8.5 | 2.7 / 3.1 | 3.9 / 4.2 |
 *
 * The instruction sets agree within the noise, so one entry serves them all; Arm was not measured.
 */
export const TUNING: TuningEntry = { gemvRows: 12, exactGemvRows: 8, quantGemvRows: 16 };
