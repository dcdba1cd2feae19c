// Mixtures of experts: each token's rows times the weights of the experts that it chose.
import { checkApart } from '../device/aliasing.ts';
import type { Command, HostStep, MadeCommands } from '../device/command-list.ts';
import { readIndices } from '../device/host-access.ts';
import { copyLaunch, type QuantizedTensor, Tensor } from '../device/tensor.ts';
import type { MatmulArgs, Weights } from '../dispatch/args.ts';
import { matmulCatalogue } from '../dispatch/catalogues.ts';
import type { MatmulDispatcher } from '../dispatch/dispatcher.ts';
import {
  describeExperts,
  type ExpertCall,
  type ExpertKernel,
  type ExpertMatmulArgs,
  type ExpertProblem,
  meanRows,
} from '../dispatch/experts.ts';
import { type Explanation, type Verdict, verdictLine } from '../dispatch/explain.ts';
import { TilewrightError } from '../errors.ts';
import { Layout } from '../tensor/layout.ts';
import { getRowsCommand } from './get-rows.ts';

export interface ExpertMatmulOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface EncodedExperts {
  /** [tokens, used, n]; the caller disposes it. */
  readonly out: Tensor;
  readonly commands: readonly Command[];
  /** What runs it: a kernel's name, or `by expert`. */
  readonly kernel: string;
}

/** What became of one way to multiply by experts. */
export interface ExpertVerdict extends Verdict {
  /** A kernel that groups on the device, or `by expert`. */
  readonly kernel: string;
}

/** Why a matmul by experts runs as it does. */
export interface ExpertExplanation {
  readonly kernel: string;
  readonly reason: string;
  readonly problem: ExpertProblem;
  readonly candidates: readonly ExpertVerdict[];
  /** What one expert's rows run as, with `by expert` and the average number of them; null where there are none. */
  readonly perExpert: Explanation | null;
  toString(): string;
}

const BY_EXPERT = 'by expert';

/**
 * Multiply by experts: out[t, u] = a[t, u] · b[ids[t, u]]ᵀ, with bias, gate and activation fused.
 * @returns [tokens, used, n]; the caller disposes it.
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED, ERR_NO_KERNEL; ERR_OUT_OF_BOUNDS for ids that name no expert,
 * before anything is multiplied; the signal's reason when aborted.
 */
export async function expertMatmul(
  dispatcher: MatmulDispatcher,
  args: ExpertMatmulArgs,
  options: ExpertMatmulOptions = {},
): Promise<Tensor> {
  options.signal?.throwIfAborted();
  const { out, commands } = encodeExperts(dispatcher, args);
  try {
    await dispatcher.device.submit(commands, options);
    return out;
  } catch (error) {
    if (args.out === undefined) out.dispose();
    throw error;
  }
}

/**
 * The commands of a matmul by experts, to be submitted with others.
 * @param options.check  false: ids are not read by the host where a kernel groups them on the device, so that the list
 * can be recorded; rows whose id names no expert stay as they are. Defaults to true.
 */
export function encodeExperts(
  dispatcher: MatmulDispatcher,
  args: ExpertMatmulArgs,
  options: { readonly check?: boolean } = {},
): EncodedExperts {
  const problem = describeExperts(args, dispatcher.precision);
  if (args.out !== undefined) {
    const { a, b, ids, gate, bias, gateBias } = args;
    checkApart(args.out, { a, b, ids, gate, bias, gateBias });
  }
  const out = args.out ?? dispatcher.device.empty(problem.outShape, { dtype: problem.outDType });
  try {
    const call = callOf(dispatcher, args, problem, out);
    const { kernel } = judge(dispatcher, call);
    const empty = problem.pairs === 0 || problem.n === 0;
    if (kernel === null) {
      return { out, commands: problem.pairs === 0 ? [] : [byExpert(dispatcher, call)], kernel: BY_EXPERT };
    }
    const check = options.check !== false && problem.pairs > 0 ? [checkIds(call)] : [];
    return { out, commands: [...check, ...(empty ? [] : kernel.commands(call))], kernel: kernel.kernel };
  } catch (error) {
    if (args.out === undefined) out.dispose();
    throw error;
  }
}

/** Every way to run a matmul by experts, with the rule that took or refused it. */
export function explainExperts(dispatcher: MatmulDispatcher, args: ExpertMatmulArgs): ExpertExplanation {
  const problem = describeExperts(args, dispatcher.precision);
  const { device } = dispatcher;
  using out =
    args.out === undefined
      ? device.empty(problem.outShape, { dtype: problem.outDType })
      : args.out.view(args.out.layout);
  const { kernel, candidates } = judge(dispatcher, callOf(dispatcher, args, problem, out));
  const { experts, n, k, tokens, used, aDType, outDType, precision } = problem;
  const perExpert = problem.pairs === 0 || experts === 0 ? null : explainOne(dispatcher, args, problem);
  const chosen = candidates.find(({ verdict }) => verdict === 'chosen')!;
  return {
    ...{ kernel: chosen.kernel, reason: chosen.reason, problem, candidates, perExpert },
    toString: () =>
      [
        `experts tokens=${tokens} used=${used} of ${experts} n=${n} k=${k}, ` +
          `${aDType} x ${problem.format?.name ?? problem.bDType} -> ${outDType}, ${precision}`,
        ...candidates.map(({ kernel: name, ...verdict }) => verdictLine(name, 13, verdict)),
        ...(kernel === null && perExpert !== null
          ? [`for ${meanRows(problem)} rows of one expert:`, String(perExpert)]
          : []),
      ].join('\n'),
  };
}

/** What the average number of rows of one expert runs as. */
function explainOne(dispatcher: MatmulDispatcher, args: ExpertMatmulArgs, problem: ExpertProblem): Explanation {
  using a = dispatcher.device.empty([meanRows(problem), problem.k], { dtype: problem.aDType });
  using pieces = new Pieces();
  return dispatcher.explain({ a, ...expertArgs(args, 0, pieces), outDType: problem.outDType });
}

const callOf = (
  dispatcher: MatmulDispatcher,
  args: ExpertMatmulArgs,
  problem: ExpertProblem,
  out: Tensor,
): ExpertCall => ({
  ...{ args, problem, out, capabilities: dispatcher.device.capabilities, tuning: dispatcher.tuning },
  workspace: (bytes) => dispatcher.workspace(bytes),
});

function judge(dispatcher: MatmulDispatcher, call: ExpertCall) {
  const kernel: ExpertKernel | undefined = matmulCatalogue(dispatcher.device.backend).experts;
  const candidates: ExpertVerdict[] = [];
  let taken: ExpertKernel | null = null;
  if (kernel !== undefined) {
    const refused = kernel.refuse(call);
    const yields = refused === null ? kernel.yields(call) : null;
    if (refused === null && yields === null) taken = kernel;
    candidates.push({
      kernel: kernel.kernel,
      verdict: taken !== null ? 'chosen' : refused !== null ? 'refused' : 'passed over',
      reason: refused ?? yields ?? kernel.because(call),
    });
  }
  candidates.push({
    kernel: BY_EXPERT,
    verdict: taken === null ? 'chosen' : 'passed over',
    reason: taken === null ? 'rows are gathered by expert, one matmul for each' : `${taken.kernel} comes first`,
  });
  return { kernel: taken, candidates };
}

/** The experts of all pairs, in order. @throws ERR_OUT_OF_BOUNDS */
function readIds({ args: { ids }, problem: { experts, used } }: ExpertCall): Int32Array {
  const values = readIndices(ids);
  const at = values.findIndex((id) => id < 0 || id >= experts);
  if (at === -1) return values;
  const [token, slot] = [Math.floor(at / used), at % used];
  throw new TilewrightError(
    'ERR_OUT_OF_BOUNDS',
    `ids[${token}, ${slot}] is ${values[at]}, but there are ${experts} experts, counted from 0.`,
    { details: { token, slot, id: values[at], experts } },
  );
}

const checkIds = (call: ExpertCall): HostStep => ({
  type: 'host',
  label: 'check experts',
  run: () => void readIds(call),
});

/** Tensors that a step made for its commands. */
class Pieces implements Disposable {
  readonly #held: (Tensor | QuantizedTensor)[] = [];
  hold<T extends Tensor | QuantizedTensor>(tensor: T): T {
    this.#held.push(tensor);
    return tensor;
  }
  [Symbol.dispose](): void {
    for (const tensor of this.#held) tensor.dispose();
  }
}

/** The arguments of one expert's matmul that are its own. */
function expertArgs(args: ExpertMatmulArgs, expert: number, pieces: Pieces) {
  const weights = (all: Weights): Weights => pieces.hold<Weights>(all.slice(expert));
  const { alpha, activation, precision, bias, gate, gateBias } = args;
  return {
    ...{ b: weights(args.b), transposeB: true, alpha, activation, precision },
    ...(bias && { bias: pieces.hold(bias.slice(expert)) }),
    ...(gate && { gate: weights(gate) }),
    ...(gateBias && { gateBias: pieces.hold(gateBias.slice(expert)) }),
  };
}

/** Reads the ids when their turn comes, and makes the commands that follow from them. */
function byExpert(dispatcher: MatmulDispatcher, call: ExpertCall): HostStep {
  const { pairs, n, k, experts } = call.problem;
  return {
    type: 'host',
    label: `experts ${pairs}x${n}x${k} of ${experts}`,
    run: () => {
      const ids = readIds(call);
      return n === 0 ? undefined : groupCommands(dispatcher, call, ids);
    },
  };
}

/**
 * Rows of experts that got several are gathered, multiplied together and put back in order by one more look-up; a row
 * that is alone with its expert is multiplied where it lies. A row of `a` that several experts share is rounded once.
 */
function groupCommands(dispatcher: MatmulDispatcher, call: ExpertCall, ids: Int32Array): MadeCommands {
  const { args, problem, out } = call;
  const { pairs, n, k, tokens, used, rowsPerToken, experts } = problem;
  const { device } = dispatcher;
  const pieces = new Pieces();
  try {
    const commands: Command[] = [];
    const rowsOf = matrixOf(args.a, [tokens * rowsPerToken, k], pieces);
    if (rowsOf.copied) commands.push(copyLaunch(args.a, rowsOf.whole));
    const results = matrixOf(out, [pairs, n], pieces);
    const source = (pair: number) => (rowsPerToken === 1 ? Math.floor(pair / used) : pair);

    const groups: number[][] = Array.from({ length: experts }, () => []);
    ids.forEach((expert, pair) => void groups[expert]!.push(pair));
    const several = groups.flatMap((group) => (group.length > 1 ? group : []));
    if (several.length > 0) {
      const index = (values: Int32Array) => pieces.hold(device.tensor(values, { shape: [values.length] }));
      const gathered = pieces.hold(device.empty([several.length, k], { dtype: args.a.dtype }));
      const sums = pieces.hold(device.empty([several.length, n], { dtype: out.dtype }));
      commands.push(getRowsCommand(rowsOf.matrix, index(Int32Array.from(several, source)), gathered));
      const list: MatmulArgs[] = [];
      let end = 0;
      groups.forEach((group, expert) => {
        if (group.length < 2) return;
        const range = { start: end, end: end + group.length };
        end += group.length;
        const a = pieces.hold(gathered.slice(range));
        list.push({ a, out: pieces.hold(sums.slice(range)), ...expertArgs(args, expert, pieces) });
      });
      commands.push(...dispatcher.encodeAll(list).flatMap((encoded) => encoded.commands));
      // Rows that are alone come out as NaN here, and are written after this.
      const places = new Int32Array(pairs).fill(-1);
      several.forEach((pair, place) => {
        places[pair] = place;
      });
      commands.push(getRowsCommand(sums, index(places), results.matrix));
    }

    const alone: MatmulArgs[] = [];
    ids.forEach((expert, pair) => {
      if (groups[expert]!.length !== 1) return;
      const a = pieces.hold(rowsOf.matrix.slice(source(pair)));
      alone.push({ a, out: pieces.hold(results.matrix.slice(pair)), ...expertArgs(args, expert, pieces) });
    });
    commands.push(...dispatcher.encodeAll(alone).flatMap((encoded) => encoded.commands));
    if (results.copied) commands.push(copyLaunch(results.whole, out));
    return { commands, [Symbol.dispose]: () => pieces[Symbol.dispose]() };
  } catch (error) {
    pieces[Symbol.dispose]();
    throw error;
  }
}

/** A tensor as a matrix of its last dimension's rows: a view, or of a row-major `whole` that the caller copies. */
function matrixOf(tensor: Tensor, shape: readonly [number, number], pieces: Pieces) {
  const layout = tensor.layout.reshape(shape);
  if (layout !== null) return { matrix: pieces.hold(tensor.view(layout)), whole: tensor, copied: false };
  const whole = pieces.hold(tensor.device.empty(tensor.shape, { dtype: tensor.dtype }));
  return {
    matrix: pieces.hold(new Tensor(whole.buffer.retain(), tensor.dtype, new Layout(shape))),
    whole,
    copied: true,
  };
}
