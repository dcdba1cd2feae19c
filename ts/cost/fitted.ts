/** The constants that no publication gives. All four are fitted to published tokens a second; see docs/cost-model.md. */
export interface Fitted {
  /** Microseconds from one dependent launch to the next. */
  readonly launchUs: number;
  /** Share of the published bandwidth that kernels reach. */
  readonly bandwidthShare: number;
  /** Share of a tiled product's threadgroup traffic that its matrix products do not hide. */
  readonly exposedTraffic: number;
  /** The same of its decoding of weights. */
  readonly exposedDecoding: number;
}

/** Fitted to the rows of `bench/predict/published.ts`, M1 and M2; a test fits them again. */
export const FITTED: Fitted = {
  launchUs: 8.25,
  bandwidthShare: 0.918,
  exposedTraffic: 0.215,
  exposedDecoding: 0.526,
};
