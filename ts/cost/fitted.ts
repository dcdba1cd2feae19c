/** The constants that no publication gives. All four are fitted to published tokens a second; see docs/cost-model.md. */
export interface Fitted {
  /** Microseconds from one dependent launch to the next. */
  readonly launchUs: number;
  /** Share of the published bandwidth that kernels reach. */
  readonly bandwidthShare: number;
  /** Share of a tiled product's threadgroup traffic that its arithmetic does not hide. */
  readonly exposedTraffic: number;
  /** Cycles of a lane for one operation of decoding a weight. */
  readonly decodeCycles: number;
}

/** Fitted to the M1 and M2 rows of `bench/predict/published.ts` by `bench predict --check`. */
export const FITTED: Fitted = { launchUs: 8.7, bandwidthShare: 0.915, exposedTraffic: 0.29, decodeCycles: 1.4 };
