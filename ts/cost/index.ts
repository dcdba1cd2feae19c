// What a matmul should take, without running it.

export { chipOf } from './chip-of.ts';
export { CHIPS, type Chip, chipNamed, type Tier } from './chips.ts';
export { configurationLabel, configurationOf, type MetalConfiguration } from './configuration.ts';
export { type Bound, type Estimate, estimateMatmul } from './estimate.ts';
export { FITTED, type Fitted } from './fitted.ts';
export {
  estimateModel,
  type ModelEstimate,
  type ModelPass,
  type ModelRun,
  type ModelShape,
  type ModelWeight,
  modelPass,
} from './model.ts';
export type { Occupancy } from './occupancy.ts';
export { chipCapabilities, type PlainMatmul, plainProblem } from './problem.ts';
export { legalConfigurations, type Ranked, rankMetal } from './rank.ts';
export { type DeviceLimits, estimateRoofline, type RooflineEstimate } from './roofline.ts';
