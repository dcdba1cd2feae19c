// The public API. Files inside the package import from each other, never from here.
export type { CpuOptions } from './backends/cpu/cpu.ts';
export { type CodeObjects, ObjectFolder, type ObjectRequest } from './backends/hip/objects.ts';
export type { HipOptions } from './backends/hip/options.ts';
export type { MetalOptions } from './backends/metal/metal.ts';
export { type OpenDeviceOptions, openDevice } from './backends/open.ts';
export type {
  Backend,
  BackendMapping,
  BackendMemory,
  BackendName,
  BackendRun,
  Capabilities,
  LoadOptions,
} from './device/backend.ts';
export { DeviceBuffer } from './device/buffer.ts';
export {
  type Binding,
  type Command,
  CommandList,
  type HostStep,
  type Launch,
  launch,
  type MadeCommands,
} from './device/command-list.ts';
export { Device, type SubmitOptions, type TensorData } from './device/device.ts';
export type {
  DequantizeCall,
  ElementwiseCatalogue,
  GetRowsCall,
  ProbeCatalogue,
  SoftmaxCall,
} from './device/elementwise.ts';
export { RecordedList } from './device/recording.ts';
export { type CommandTiming, Submission, type SubmissionResult } from './device/submission.ts';
export { copyLaunch, QuantizedTensor, Tensor } from './device/tensor.ts';
export type { DeviceWatcher, Span, SubmissionCall } from './device/watch.ts';
export {
  type AffineQuantization,
  type MatmulArgs,
  MatmulVariant,
  type Precision,
  type Weights,
} from './dispatch/args.ts';
export type { CustomMatmulCall, CustomMatmulKernel } from './dispatch/custom.ts';
export { type DispatcherOptions, type EncodedMatmul, MatmulDispatcher, type Selection } from './dispatch/dispatcher.ts';
export type { ExpertMatmulArgs, ExpertProblem } from './dispatch/experts.ts';
export type { CandidateVerdict, Explanation, Verdict } from './dispatch/explain.ts';
export type { CustomMetalKernel } from './dispatch/metal/custom.ts';
export type { MatmulProblem } from './dispatch/problem.ts';
export type { TuningEntry } from './dispatch/tuning.ts';
export type { TuningEvidence, TuningKey, TuningRecord } from './dispatch/tuning-table.ts';
export { type ErrorCode, type ErrorDetails, TilewrightError } from './errors.ts';
export {
  GGUFFile,
  type GGUFTensor,
  type Metadata,
  type MetadataValue,
  readGGUFHeader,
  readRemoteHeader,
  type TensorInput,
  typedMetadata,
  type WriteOptions,
  writeGGUF,
} from './gguf/index.ts';
export { KERNELS } from './kernels/catalogue.ts';
export type { LaunchGeometry } from './kernels/declare.ts';
export { type AnyHipKernel, declareHipKernel, type HipKernel } from './kernels/hip/declare.ts';
export type { FunctionConstant } from './kernels/metal/declare.ts';
export type { Activation } from './kernels/types.ts';
export { AsyncKernelLauncher, type LaunchHandle } from './ops/async-launcher.ts';
export {
  type BatchMatmulOptions,
  type BatchMatmulResult,
  BatchQuantizedMatmul,
  type QuantizedMatmulOp,
} from './ops/batch-quantized.ts';
export { dequantizeTensor, type SoftmaxOptions, softmax, softmaxLaunch } from './ops/elementwise.ts';
export {
  type EncodedExperts,
  type ExpertExplanation,
  type ExpertMatmulOptions,
  type ExpertVerdict,
  encodeExperts,
  expertMatmul,
  explainExperts,
} from './ops/experts.ts';
export { type GetRowsOptions, getRows, getRowsCommand } from './ops/get-rows.ts';
export { GGUFModel, loadGGUF, type ModelLoadOptions } from './ops/load-gguf.ts';
export { dequantize, quantize } from './ops/quantize.ts';
export { KernelTimer, type ScopeSummary, type ScopeTiming, TimerScope } from './ops/timer.ts';
export {
  type ChromeTrace,
  chromeTrace,
  DeviceTrace,
  type DeviceTraceOptions,
  saveTrace,
  type TraceEvent,
} from './profile/trace.ts';
export { DTYPES, type DType } from './tensor/dtype.ts';
export { Layout, type Range, type Shape } from './tensor/layout.ts';
export {
  type BuiltinQuantFormat,
  QuantFormat,
  type QuantFormatInfo,
  rowBytes,
} from './tensor/quant-format.ts';
