/** The test bed: Metal and HIP kernels checked, run and sanitized on the CPU. See docs/test-bed.md. */
export { type Baseline, baselineOf, compareBaseline } from './baseline.ts';
export { type CheckResult, checkKernels, compileError, compileKernels, formatFinding } from './check.ts';
export { type CheckOptions, type CheckReport, check, checkCommand, formatReport, runCheckCommand } from './command.ts';
export { type CompiledModule, type CompileOptions, compile, type Preprocessed, preprocess } from './compile.ts';
export * from './dispatch.ts';
export type {
  Finding,
  FunctionConstant,
  KernelParameter,
  KernelSignature,
  ModuleSignature,
} from './rewrite/signature.ts';
export { type RunResult, runKernels } from './run.ts';
export { type BufferSpec, type RunSpec, readSpec } from './spec.ts';
export { buildRuntime, findToolchain } from './toolchain.ts';
