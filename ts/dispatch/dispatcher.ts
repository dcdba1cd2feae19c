import { checkApart } from '../device/aliasing.ts';
import type { DeviceBuffer } from '../device/buffer.ts';
import type { Command } from '../device/command-list.ts';
import type { Device } from '../device/device.ts';
import type { Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { type MatmulArgs, MatmulVariant, type Precision } from './args.ts';
import { SelectionCache } from './cache.ts';
import type { MatmulCatalogue, Plan } from './catalogue.ts';
import { matmulCatalogue } from './catalogues.ts';
import { type CustomMatmulKernel, customCommand } from './custom.ts';
import { type CandidateVerdict, type Explanation, explanation } from './explain.ts';
import { describe, type MatmulProblem } from './problem.ts';
import { entryProblem, layerTuning, type TuningEntry, type TuningLimits } from './tuning.ts';
import { type TuningRecord, tunedFor } from './tuning-table.ts';

/** Plain numbers that are kept as tensors; a model uses a handful. */
const MAX_CONSTANTS = 256;

export interface DispatcherOptions {
  /** For calls that do not say. Defaults to `exact`. */
  readonly precision?: Precision | undefined;
  /**
   * Replaces policy, in whole or in part: the device's defaults and what `bench sweep` measured on this machine.
   * `default`: the defaults alone, whatever was measured.
   */
  readonly tuning?: Partial<TuningEntry> | 'default' | undefined;
}

/** What runs a problem, and why. The same object for the same form of arguments. */
export interface Selection {
  readonly variant: MatmulVariant;
  /** Kernel name; a plug-in's own name. */
  readonly kernel: string;
  readonly reason: string;
  readonly problem: MatmulProblem;
}

interface Choice extends Selection {
  readonly plan: Plan | null;
  readonly custom: CustomMatmulKernel | null;
}

/** A matmul as commands that are still to be submitted. */
export interface EncodedMatmul {
  readonly out: Tensor;
  readonly commands: readonly Command[];
  readonly selection: Selection;
}

/** What the working space holds, so that a later call of the same list may use it again. */
interface Prepared {
  readonly a: Tensor;
  readonly preparation: string;
}

/**
 * Picks and runs matmul kernels on a device: `matmul` runs, `select` only picks, `explain` says why, `register` adds a
 * kernel of your own.
 */
export class MatmulDispatcher implements Disposable {
  readonly device: Device;
  readonly tuning: TuningEntry;
  readonly precision: Precision;
  readonly #catalogue: MatmulCatalogue;
  /** What was measured on this machine; null if nothing was, or if it is not wanted. */
  readonly #measured: TuningRecord | null;
  readonly #cache = new SelectionCache<Choice>();
  readonly #custom = new Map<string, CustomMatmulKernel>();
  /** Numbers given as affine entries, as tensors. */
  readonly #constants = new Map<number, Tensor>();
  #scratch: DeviceBuffer | null = null;
  #disposed = false;

  constructor(device: Device, options: DispatcherOptions = {}) {
    this.device = device;
    this.precision = options.precision ?? 'exact';
    this.#catalogue = matmulCatalogue(device.backend);
    const { limits } = this.#catalogue;
    const given = typeof options.tuning === 'object' ? options.tuning : {};
    checkTuning(given, limits);
    this.#measured = options.tuning === 'default' ? null : tunedFor(device.capabilities, limits);
    const defaults = this.#catalogue.defaultTuning(device.capabilities);
    this.tuning = layerTuning(defaults, this.#measured?.tuning ?? {}, given);
  }

  /**
   * Run one matmul.
   * @returns the result; the caller disposes it.
   * @throws ERR_SHAPE_MISMATCH, ERR_NO_KERNEL and what the device throws; the signal's reason when aborted.
   */
  async matmul(args: MatmulArgs, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Tensor> {
    options.signal?.throwIfAborted();
    const { out, commands } = this.encode(args);
    try {
      await this.device.submit(commands, options);
      return out;
    } catch (error) {
      if (args.out === undefined) out.dispose();
      throw error;
    }
  }

  /** What would run. Costs under a microsecond, and allocates nothing, for a form of arguments seen before. */
  select(args: MatmulArgs): Selection {
    return this.#choose(args);
  }

  /** Every candidate, with the rule that took or refused it; works for problems that no kernel takes, too. */
  explain(args: MatmulArgs): Explanation {
    const problem = describe(args, this.precision);
    return explanation(problem, this.#judge(problem, args.variant).verdicts, this.#measured);
  }

  /**
   * Add a kernel of your own.
   * @returns a function that takes it out again.
   * @throws ERR_INVALID_ARGUMENT if the name is taken.
   */
  register(kernel: CustomMatmulKernel): () => void {
    if (this.#custom.has(kernel.name)) {
      throw new TilewrightError('ERR_INVALID_ARGUMENT', `A kernel named "${kernel.name}" is already registered.`);
    }
    this.#custom.set(kernel.name, kernel);
    this.#cache.clear();
    return () => {
      if (this.#custom.get(kernel.name) !== kernel) return;
      this.#custom.delete(kernel.name);
      this.#cache.clear();
    };
  }

  /** The commands of one matmul, to be submitted with others. */
  encode(args: MatmulArgs): EncodedMatmul {
    return this.encodeAll([args])[0]!;
  }

  /**
   * The commands of several matmuls that run one after the other. Neighbours with the same `a` share its rounding to
   * 8 bits, as for the query, key and value projections of one input.
   */
  encodeAll(list: readonly MatmulArgs[]): EncodedMatmul[] {
    if (this.#disposed) throw new TilewrightError('ERR_DISPOSED', 'This dispatcher was disposed.');
    return this.device.encoding(list.length === 1 ? 'encode matmul' : `encode ${list.length} matmuls`, () =>
      this.#encodeAll(list),
    );
  }

  #encodeAll(list: readonly MatmulArgs[]): EncodedMatmul[] {
    const choices = list.map((args) => this.#choose(args));
    const scratch = this.#reserve(choices.reduce((most, { plan }) => Math.max(most, plan?.scratchBytes ?? 0), 0));
    const constant = (value: number | Tensor | undefined) => this.#constant(value);
    const results: EncodedMatmul[] = [];
    let held: Prepared | null = null;
    try {
      list.forEach((args, i) => {
        const { plan, custom, problem } = choices[i]!;
        if (args.out !== undefined) {
          const { a, b, gate, bias, gateBias, residual } = args;
          checkApart(args.out, { a, b, gate, bias, gateBias }, { residual });
        }
        const out = args.out ?? this.device.empty(problem.outShape, { dtype: problem.outDType });
        const commands: Command[] = [];
        results.push({ out, commands, selection: choices[i]! });
        if (plan === null) {
          commands.push(customCommand(custom!, problem, args, out));
          held = null;
          return;
        }
        const { preparation, scratchBytes } = plan;
        const prepared: boolean = held !== null && held.preparation === preparation && sameView(held.a, args.a);
        commands.push(...this.#catalogue.commands(plan, { args, out, scratch, prepared, constant }));
        if (preparation !== null) held = { a: args.a, preparation };
        else if (scratchBytes > 0) held = null;
        if (held !== null && held.a.buffer === out.buffer) held = null;
      });
    } catch (error) {
      results.forEach(({ out }, i) => {
        if (list[i]!.out === undefined) out.dispose();
      });
      throw error;
    }
    return results;
  }

  /**
   * Working space of at least `bytes`, the same for all calls: lists run in order. For operations that are made of
   * matmuls.
   */
  workspace(bytes: number): DeviceBuffer | null {
    if (this.#disposed) throw new TilewrightError('ERR_DISPOSED', 'This dispatcher was disposed.');
    return this.#reserve(bytes);
  }

  #choose(args: MatmulArgs): Choice {
    const known = this.#cache.find(args, this.precision);
    if (known !== undefined) return known;
    const problem = describe(args, this.precision);
    const { verdicts, taken } = this.#judge(problem, args.variant);
    if (taken === null) {
      throw new TilewrightError(
        'ERR_NO_KERNEL',
        `No kernel may run this matmul${args.variant ? ` as ${args.variant}` : ''}.\n${explanation(problem, verdicts)}`,
        { details: { candidates: verdicts } },
      );
    }
    const { variant, kernel, reason } = verdicts.find(({ verdict }) => verdict === 'chosen')!;
    const { custom } = taken;
    const plan = this.#plan(custom, problem, kernel);
    const result: Choice = Object.freeze({ variant, kernel, reason, problem, plan, custom });
    this.#cache.add(result);
    return result;
  }

  #judge(problem: MatmulProblem, wanted: MatmulVariant | undefined) {
    const { capabilities } = this.device;
    const forced = (variant: MatmulVariant) =>
      wanted === undefined || wanted === variant ? null : `variant ${wanted} was asked for`;
    const builtin = this.#catalogue.candidates.map((candidate) => ({
      variant: candidate.variant,
      kernel: candidate.kernel,
      priority: 0,
      custom: null as CustomMatmulKernel | null,
      refused: forced(candidate.variant) ?? candidate.refuse(problem, capabilities),
      yields: wanted === candidate.variant ? null : candidate.yields(problem, this.tuning, capabilities),
      because: () => candidate.because(problem, this.tuning, capabilities),
    }));
    const runs = (kernel: CustomMatmulKernel) =>
      kernel.run !== undefined || this.#catalogue.custom?.has(kernel) === true;
    const custom = [...this.#custom.values()].map((kernel) => {
      const supports = kernel.supports(problem);
      return {
        variant: MatmulVariant.Custom,
        kernel: kernel.name,
        priority: kernel.priority ?? 1,
        custom: kernel,
        refused:
          forced(MatmulVariant.Custom) ??
          (runs(kernel) ? null : `it has no kernel for the ${this.device.backend} back end, and no run()`) ??
          (supports === true ? null : supports),
        yields: null,
        because: () => `plug-in of priority ${kernel.priority ?? 1} that supports this problem`,
      };
    });
    // Stable: built-in ones keep their order and come first among equals.
    const ranked = [...builtin, ...custom].sort((x, y) => y.priority - x.priority);
    const legal = ranked.filter(({ refused }) => refused === null);
    const taken = legal.find(({ yields }) => yields === null) ?? legal[0] ?? null;
    const verdicts: CandidateVerdict[] = ranked.map((entry) => {
      const { variant, kernel } = entry;
      if (entry === taken) return { variant, kernel, verdict: 'chosen', reason: entry.because() };
      if (entry.refused !== null) return { variant, kernel, verdict: 'refused', reason: entry.refused };
      const reason = entry.yields ?? `${taken!.variant} (${taken!.kernel}) comes first`;
      return { variant, kernel, verdict: 'passed over', reason };
    });
    return { verdicts, taken };
  }

  /** Null for a plug-in that runs on the JavaScript thread. */
  #plan(custom: CustomMatmulKernel | null, problem: MatmulProblem, kernel: string): Plan | null {
    const { capabilities } = this.device;
    if (custom === null) return this.#catalogue.plan(problem, kernel, capabilities, this.tuning);
    const own = this.#catalogue.custom;
    return own?.has(custom) ? own.plan(custom, problem, capabilities) : null;
  }

  /** Working space; lists run in order, so one serves all. */
  #reserve(bytes: number): DeviceBuffer | null {
    if (bytes === 0) return null;
    if (this.#scratch === null || this.#scratch.byteLength < bytes) {
      // The old one is left to the garbage collector: commands that were encoded and not submitted still name it.
      this.#scratch = this.device.buffer(bytes);
    }
    return this.#scratch;
  }

  #constant(value: number | Tensor | undefined): Tensor | undefined {
    if (typeof value !== 'number') return value;
    let tensor = this.#constants.get(value);
    if (tensor === undefined) {
      if (this.#constants.size >= MAX_CONSTANTS) this.#constants.clear();
      tensor = this.device.tensor([value], { shape: [] });
      this.#constants.set(value, tensor);
    }
    return tensor;
  }

  /** Free working space. Results that were returned stay valid. */
  dispose(): void {
    this.#disposed = true;
    this.#scratch?.dispose();
    this.#scratch = null;
    for (const tensor of this.#constants.values()) tensor.dispose();
    this.#constants.clear();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function checkTuning(tuning: Partial<TuningEntry>, limits: TuningLimits): void {
  for (const [name, value] of Object.entries(tuning)) {
    const problem = value === undefined ? null : entryProblem(name, value, limits);
    if (problem !== null) throw new TilewrightError('ERR_INVALID_ARGUMENT', problem);
  }
}

function sameView(x: Tensor, y: Tensor): boolean {
  return (
    x === y ||
    (x.buffer === y.buffer &&
      x.dtype === y.dtype &&
      x.offset === y.offset &&
      x.rank === y.rank &&
      x.shape.every((size, i) => size === y.shape[i] && x.strides[i] === y.strides[i]))
  );
}
