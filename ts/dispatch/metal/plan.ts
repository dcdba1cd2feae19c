import type { Capabilities } from '../../device/backend.ts';
import { type Command, launch } from '../../device/command-list.ts';
import type { MatmulParams } from '../../kernels/matmul.ts';
import {
  AFFINE_COLUMNS,
  GEMM_TILES,
  gemm,
  gemmThreads,
  gemv,
  gemvAffine,
  gemvT,
  type MetalMatmulConstants,
  THREAD_TILES,
  vectorAccess,
  wholeTiles,
} from '../../kernels/metal/matmul.ts';
import { ACTIVATIONS } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { MatmulCall, Plan } from '../catalogue.ts';
import { hostReference } from '../host-reference.ts';
import { matmulParams } from '../params.ts';
import type { AffineLayout, MatmulProblem } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';
import { gemmTile, gemvShape, gemvTShape, halfTiles, mostSimdgroups, threadTile } from './shapes.ts';
import type { MetalTuning } from './tuning.ts';

const KERNELS = {
  metal_gemv: gemv,
  metal_gemv_t: gemvT,
  metal_gemv_affine: gemvAffine,
  metal_gemm: gemm,
  metal_gemm_threads: gemmThreads,
} as const;
type MetalMatmul = keyof typeof KERNELS;
/** What all of them, and plug-ins, are declared as. */
type MatmulKernel = typeof gemv;

export interface MetalPlan extends Plan {
  /** Null: the reference on the host. */
  readonly declaration: MatmulKernel | null;
  readonly problem: MatmulProblem;
  readonly params: MatmulParams;
  /** Which operands may be read in vectors, as far as their alignment allows. */
  readonly vectors: 'both' | 'a' | 'none';
  /** All but `a_vector` and `b_vector`, which depend on where the operands begin. */
  readonly constants: MetalMatmulConstants;
  /** Constants by the alignment of the operands, as calls have brought them. */
  readonly aligned: Map<number, MetalMatmulConstants>;
  readonly label: string;
}

const affineConstants = <P extends '' | 'gate_'>(prefix: P, affine: AffineLayout | null) =>
  ({
    [`has_${prefix}scale`]: affine === null ? 0 : 1,
    [`has_${prefix}zero`]: affine?.zero == null ? 0 : 1,
    [`has_${prefix}offset`]: affine?.offset == null ? 0 : 1,
  }) as Record<`has_${P}${'scale' | 'zero' | 'offset'}`, number>;

/** The function constants that depend on the form of the problem alone. */
export function fixedConstants(problem: MatmulProblem): MetalMatmulConstants {
  return {
    a_dtype: DTYPES[problem.aDType].id,
    b_dtype: problem.format?.id ?? DTYPES[problem.bDType ?? 'f32'].id,
    out_dtype: DTYPES[problem.outDType].id,
    residual_dtype: DTYPES[problem.residualDType ?? 'f32'].id,
    bias_dtype: DTYPES[problem.biasDType ?? 'f32'].id,
    activation: ACTIVATIONS[problem.activation],
    has_bias: problem.hasBias ? 1 : 0,
    has_residual: problem.residual === null ? 0 : 1,
    has_gate: problem.gate === null ? 0 : 1,
    has_gate_bias: problem.hasGateBias ? 1 : 0,
    a_vector: 0,
    b_vector: 0,
    split: 1,
    simdgroups: 1,
    rows: 1,
    columns: 1,
    tile: 0,
    tile_dtype: 0,
    whole: 0,
    ...affineConstants('', problem.affine),
    ...affineConstants('gate_', problem.gateAffine),
  };
}

/** What the policy chose for a kernel. */
function chosen(
  problem: MatmulProblem,
  kernel: MetalMatmul,
  params: MatmulParams,
  capabilities: Capabilities,
  tuning: MetalTuning,
): Partial<MetalMatmulConstants> {
  switch (kernel) {
    case 'metal_gemv':
      return { ...gemvShape(problem, capabilities, tuning) };
    case 'metal_gemv_t':
      return gemvTShape(problem, capabilities, tuning);
    case 'metal_gemv_affine':
      return {
        columns: AFFINE_COLUMNS.find((c) => c >= problem.m) ?? AFFINE_COLUMNS.at(-1)!,
        simdgroups: Math.min(tuning.gemvSimdgroups, mostSimdgroups(capabilities)),
      };
    case 'metal_gemm': {
      const tile = gemmTile(problem, capabilities, tuning);
      const dtype = DTYPES[halfTiles(problem) ? 'f16' : 'f32'].id;
      return { tile, tile_dtype: dtype, whole: wholeTiles(params, GEMM_TILES[tile]!) ? 1 : 0 };
    }
    case 'metal_gemm_threads': {
      const tile = threadTile(problem, capabilities);
      return { tile, whole: wholeTiles(params, THREAD_TILES[tile]!) ? 1 : 0 };
    }
  }
}

/** What a plan's label says of the choice: `r4c1/2`, `64x32x32`. */
function shapeLabel(kernel: MetalMatmul, c: MetalMatmulConstants): string {
  if (kernel === 'metal_gemv') return `r${c.rows}c${c.columns}/${c.split}`;
  if (kernel === 'metal_gemv_t') return `c${c.columns}/${c.simdgroups}`;
  if (kernel === 'metal_gemv_affine') return `c${c.columns}`;
  const { m, n, k } = kernel === 'metal_gemm' ? GEMM_TILES[c.tile]! : THREAD_TILES[c.tile]!;
  return `${m}x${n}x${k}`;
}

export function makePlan(
  problem: MatmulProblem,
  kernel: string,
  capabilities: Capabilities,
  tuning: TuningEntry,
): MetalPlan {
  const params = matmulParams(problem);
  const rows = problem.m * problem.batch.reduce((x, y) => x * y, 1);
  const own = kernel in KERNELS ? (kernel as MetalMatmul) : null;
  const fixed = fixedConstants(problem);
  const constants =
    own === null ? fixed : { ...fixed, ...chosen(problem, own, params, capabilities, tuning as MetalTuning) };
  const shape = own === null ? '' : ` ${shapeLabel(own, constants)}`;
  return {
    kernel,
    declaration: own === null ? null : KERNELS[own],
    problem,
    params,
    constants,
    vectors: own === 'metal_gemv_affine' ? 'none' : 'both',
    aligned: new Map(),
    scratchBytes: 0,
    preparation: null,
    label: `${kernel}<${problem.format?.name ?? problem.bDType}${shape}> ${rows}x${problem.n}x${problem.k}`,
  };
}

/** No vector load asks for more. */
const ALIGNMENT = 16;

/** The constants for operands that begin at these bytes. */
function alignedConstants(plan: MetalPlan, a: number, b: number, gate: number): MetalMatmulConstants {
  if (plan.vectors === 'none') return plan.constants;
  const key = (a % ALIGNMENT) + ALIGNMENT * ((b % ALIGNMENT) + ALIGNMENT * (gate % ALIGNMENT));
  let constants = plan.aligned.get(key);
  if (constants === undefined) {
    // Blocks of an unknown format have no known loads; f32 stands in, so that `a` is looked at.
    const types = plan.vectors === 'a' ? { ...plan.constants, b_dtype: DTYPES.f32.id } : plan.constants;
    const vectors = vectorAccess(plan.params, types, { a, b, gate });
    constants = { ...plan.constants, ...vectors, ...(plan.vectors === 'a' && { b_vector: 0 }) };
    plan.aligned.set(key, constants);
  }
  return constants;
}

/** The buffers that a shader is given. */
function matmulBuffers(plan: MetalPlan, { args, out, constant }: MatmulCall) {
  const q = args.quantization;
  const gateQ = args.gateQuantization;
  return {
    a: args.a.binding,
    b: args.b.binding,
    out: out.binding,
    bias: args.bias?.binding,
    residual: plan.problem.residual === null ? undefined : (args.residual ?? args.out)?.binding,
    gate: args.gate?.binding,
    gate_bias: args.gateBias?.binding,
    scale: constant(q?.scale)?.binding,
    zero: constant(q?.zeroPoint)?.binding,
    offset: constant(q?.offset)?.binding,
    gate_scale: constant(gateQ?.scale)?.binding,
    gate_zero: constant(gateQ?.zeroPoint)?.binding,
    gate_offset: constant(gateQ?.offset)?.binding,
  };
}

export function commands(plan: MetalPlan, call: MatmulCall): Command[] {
  if (plan.declaration === null) return [hostReference(plan.problem, call.args, call.out)];
  const buffers = matmulBuffers(plan, call);
  const { a, b, gate } = buffers;
  return [
    launch(plan.declaration, {
      buffers,
      constants: alignedConstants(plan, a.byteOffset, b.byteOffset, gate?.byteOffset ?? 0),
      params: plan.params,
      label: plan.label,
    }),
  ];
}
