// Matmuls by experts on the HIP back end: pairs are grouped on the device, so that nothing waits for the host.
import { type Command, launch } from '../../device/command-list.ts';
import { copyLaunch, Tensor } from '../../device/tensor.ts';
import { hipBlockAlignment, stepOfFormat } from '../../kernels/hip/gemv.ts';
import { q8Bytes } from '../../kernels/hip/matmul.ts';
import { hipMoeGemv, hipMoeTiles, MAX_EXPERTS, MOE_COLUMNS, MOE_TILE_BYTES, moeTiles } from '../../kernels/hip/moe.ts';
import { hipQuantizeQ8 } from '../../kernels/hip/quantize.ts';
import { ACTIVATIONS } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { Layout } from '../../tensor/layout.ts';
import { type ExpertCall, type ExpertKernel, meanRows } from '../experts.ts';
import { aligned } from './plan.ts';
import { workgroup } from './shapes.ts';
import { entry } from './tuning.ts';

/** Workgroups along y and z that every driver takes: tiles, and rows of activations. */
const MAX_GRID = 65535;

/** `a` as [rows, k] and `out` as [pairs, n], or null where their strides do not allow it. */
function matrices({ args: { a }, problem, out }: ExpertCall) {
  const { tokens, rowsPerToken, pairs, n, k } = problem;
  return { a: a.layout.reshape([tokens * rowsPerToken, k]), out: out.layout.reshape([pairs, n]) };
}

const limit = ({ problem, tuning }: ExpertCall) => entry(tuning, 'expertRows', problem.format!.name);

export const hipExperts: ExpertKernel = {
  kernel: 'hip_moe_gemv',

  refuse: (call) => {
    const { args, problem, capabilities } = call;
    const { format, experts, pairs, tokens, rowsPerToken, precision, k } = problem;
    if (!capabilities.kernels.has('hip_moe_gemv')) return 'this device has no code object for it';
    if (format === null) return 'b is not block-quantized';
    if (format.id === undefined) return `the built-in kernels cannot decode ${format.name}`;
    if (precision === 'exact') return 'it rounds activations to 8 bits, and precision is exact';
    if (experts < 1 || experts > MAX_EXPERTS) return `${experts} experts; it takes 1 to ${MAX_EXPERTS}`;
    if (k === 0) return 'k is 0';
    if (moeTiles(pairs, experts) > MAX_GRID || tokens * rowsPerToken > MAX_GRID) return `more than ${MAX_GRID} rows`;
    const { a, out } = matrices(call);
    if (a === null || out === null) return 'the rows of a or out are not evenly spaced';
    if (args.bias && args.gateBias && args.bias.strides[0] !== args.gateBias.strides[0]) {
      return 'bias and gateBias differ in their strides';
    }
    const unit = hipBlockAlignment(format.id);
    const strides = [args.b, ...(args.gate === undefined ? [] : [args.gate])].flatMap(({ layout }) => layout.strides);
    return strides.some((stride) => stride % unit !== 0)
      ? `rows of ${format.name} start at multiples of ${unit} bytes`
      : null;
  },

  yields: (call) => {
    const rows = meanRows(call.problem);
    if (rows <= limit(call)) return null;
    return `about ${rows} rows for each expert are above expertRows = ${limit(call)}, where unpacking once pays`;
  },

  because: (call) =>
    `about ${meanRows(call.problem)} rows for each expert (at most expertRows = ${limit(call)}): grouped on the ` +
    `device, weights are streamed once for every ${MOE_COLUMNS} rows`,

  commands: (call) => {
    const { args, problem, out, capabilities, tuning, workspace } = call;
    const { tokens, rowsPerToken, pairs, experts, n, k, used, gated } = problem;
    const format = problem.format!;
    const rows = tokens * rowsPerToken;
    const layouts = matrices(call);
    const tiles = moeTiles(pairs, experts);
    const rounded = q8Bytes(rows, k, 1);
    const idsAt = rounded + Math.ceil((MOE_TILE_BYTES * tiles) / 256) * 256;
    const scratch = workspace(idsAt + 4 * pairs)!;
    const at = (byteOffset: number) => ({ buffer: scratch, byteOffset });
    const list: Command[] = [];

    let ids = args.ids.binding;
    if (!args.ids.isContiguous) {
      // Only the launch names it: the memory is the working space's.
      using plain = new Tensor(scratch.retain(), 'i32', new Layout(args.ids.shape, undefined, idsAt / 4));
      list.push(copyLaunch(args.ids, plain));
      ids = at(idsAt);
    }
    const a_stride = layouts.a!.strides;
    const single = { batch: [1, 1, 1, 1], a_batch: [0, 0, 0, 0] };
    list.push(
      launch(hipQuantizeQ8, {
        buffers: { a: args.a.binding, q8: at(0) },
        constants: {},
        params: {
          ...{ m: rows, k, a_dtype: DTYPES[problem.aDType].id, group: 1, step: stepOfFormat(format.id!), a_stride },
          ...single,
        },
        label: `hip_quantize_q8 ${rows}x${k}`,
      }),
      launch(hipMoeTiles, {
        buffers: { ids, tiles: at(rounded) },
        constants: {},
        params: { pairs, experts, tiles },
        label: `hip_moe_tiles ${pairs} pairs`,
      }),
    );
    // Few pairs choose the same expert: as many tiles as pairs.
    const { splitShift, groups } = workgroup(n * pairs, k, format.name, MOE_COLUMNS, capabilities, tuning);
    const weights = ({ strides }: Layout) => [strides[1]!, 0];
    list.push(
      launch(hipMoeGemv, {
        buffers: {
          ...{ a: at(0), b: aligned(problem, args.b.binding), out: out.binding, bias: args.bias?.binding },
          gate: args.gate && aligned(problem, args.gate.binding),
          ...{ gate_bias: args.gateBias?.binding, tiles: at(rounded) },
        },
        constants: { b_dtype: format.id!, gate: gated ? 1 : 0, wave: capabilities.waveSize! },
        params: {
          ...{ pairs, n, k, tiles, experts, share: rowsPerToken === 1 ? used : 1, split_shift: splitShift, groups },
          ...{ b_stride: weights(args.b.layout), gate_stride: args.gate ? weights(args.gate.layout) : [0, 0] },
          ...{ b_expert: args.b.layout.strides[0]!, gate_expert: args.gate?.layout.strides[0] ?? 0 },
          bias_expert: args.bias?.strides[0] ?? args.gateBias?.strides[0] ?? 0,
          ...{ out_stride: layouts.out!.strides, residual_stride: [0, 0] },
          ...{ bias_stride: args.bias?.strides[1] ?? 0, gate_bias_stride: args.gateBias?.strides[1] ?? 0 },
          ...{ out_dtype: DTYPES[problem.outDType].id, residual_dtype: 0 },
          bias_dtype: DTYPES[args.bias?.dtype ?? args.gateBias?.dtype ?? 'f32'].id,
          ...{ activation: ACTIVATIONS[problem.activation], alpha: problem.alpha, beta: 0 },
        },
        label: `hip_moe_gemv<${format.name}> ${pairs}x${n}x${k} of ${experts}`,
      }),
    );
    return list;
  },
};
