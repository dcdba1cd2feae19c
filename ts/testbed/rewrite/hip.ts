import type { Rewritten } from './msl.ts';

export interface HipOptions {
  readonly only?: RegExp;
  readonly check: boolean;
  readonly wave: 32 | 64;
}

export function rewriteHip(_preprocessed: string, _options: HipOptions): Rewritten {
  throw new Error('HIP');
}
