import type { Capabilities } from '../device/backend.ts';
import type { DeviceBuffer } from '../device/buffer.ts';
import type { Command } from '../device/command-list.ts';
import type { Tensor } from '../device/tensor.ts';
import type { MatmulArgs, MatmulVariant } from './args.ts';
import type { CustomMatmulKernel } from './custom.ts';
import type { ExpertKernel } from './experts.ts';
import type { MatmulProblem } from './problem.ts';
import type { TuningEntry, TuningLimits } from './tuning.ts';

/**
 * A way to run a matmul. Legality and policy are apart: `refuse` says why it may not run, `yields` why it should not
 * although it may. The first candidate that neither refuses nor yields is taken; else the first that does not refuse.
 */
export interface Candidate {
  readonly variant: MatmulVariant;
  readonly kernel: string;
  readonly refuse: (problem: MatmulProblem, capabilities: Capabilities) => string | null;
  readonly yields: (problem: MatmulProblem, tuning: TuningEntry, capabilities: Capabilities) => string | null;
  /** Why it is taken, when it is. */
  readonly because: (problem: MatmulProblem, tuning: TuningEntry, capabilities: Capabilities) => string;
}

/** Everything of a matmul's launches that does not depend on the data; built once per problem. */
export interface Plan {
  readonly kernel: string;
  /** Working space that the commands need. The dispatcher has one for all calls, as lists run in order. */
  readonly scratchBytes: number;
  /**
   * A name for what the first commands leave in the working space, if it depends on `a` alone (activations rounded to 8
   * bits). Neighbours in a list with one view of `a` and one name share it. Null: nothing to share.
   */
  readonly preparation: string | null;
}

/** One call, as a plan's commands need it. */
export interface MatmulCall {
  readonly args: MatmulArgs;
  readonly out: Tensor;
  /** At least `plan.scratchBytes`; may be null where that is 0. */
  readonly scratch: DeviceBuffer | null;
  /** The working space already holds what the plan's `preparation` names. */
  readonly prepared: boolean;
  /** Numbers of `quantization` as tensors on the device. */
  readonly constant: (value: number | Tensor | undefined) => Tensor | undefined;
}

/**
 * The matmul kernels of one back end: legality and policy per kernel, and how a choice becomes launches. Adding a back
 * end to the dispatcher is adding one of these to `catalogues.ts`.
 */
export interface MatmulCatalogue<P extends Plan = Plan> {
  /** In order of preference. */
  readonly candidates: readonly Candidate[];
  /** The entries that tuning may have here, each with its smallest and largest value. */
  readonly limits: TuningLimits;
  /** Policy for a device; what users pass as `tuning` replaces its entries. */
  defaultTuning(capabilities: Capabilities): TuningEntry;
  /** Runs once per form of arguments; may be slow. */
  plan(problem: MatmulProblem, kernel: string, capabilities: Capabilities, tuning: TuningEntry): P;
  /** Runs at every call. */
  commands(plan: P, call: MatmulCall): Command[];
  /** A kernel that multiplies by experts without the host knowing which; left out by back ends that have none. */
  readonly experts?: ExpertKernel;
  /** Plug-ins that bring a kernel of this back end; others run on the JavaScript thread. */
  readonly custom?: {
    has(kernel: CustomMatmulKernel): boolean;
    /** As `plan`, for a plug-in that `has` said yes to. */
    plan(kernel: CustomMatmulKernel, problem: MatmulProblem, capabilities: Capabilities): P;
  };
}
