import type { Device } from '../device/device.ts';
import type { QuantizedTensor, Tensor } from '../device/tensor.ts';
import type { MatmulArgs, Precision } from '../dispatch/args.ts';
import { MatmulDispatcher, type Selection } from '../dispatch/dispatcher.ts';
import { TilewrightError } from '../errors.ts';

/** One matmul of a batch: input · weightsᵀ, with any epilogue that `matmul` takes. */
export interface QuantizedMatmulOp
  extends Omit<MatmulArgs, 'a' | 'b' | 'transposeB' | 'quantization' | 'gateQuantization'> {
  /** [n, k] in any format; formats may differ between the ops of a batch. */
  readonly weights: QuantizedTensor;
  /** Defaults to the batch's input. */
  readonly input?: Tensor | undefined;
  /** Shown with the times. */
  readonly label?: string | undefined;
}

export interface BatchMatmulOptions {
  readonly signal?: AbortSignal | undefined;
  /** Time each op. Defaults to true. */
  readonly timings?: boolean | undefined;
}

export interface BatchMatmulResult {
  /** In the order of the ops; the caller disposes them. */
  readonly outputs: readonly Tensor[];
  /** Milliseconds of each op, its share of activation rounding included; empty without `timings`. */
  readonly timingsMs: readonly number[];
  /** Milliseconds of the whole batch. */
  readonly totalMs: number;
  readonly selections: readonly Selection[];
}

/** Several quantized matmuls, of formats as they come, in one submit. Ops that share their input round it once. */
export class BatchQuantizedMatmul implements Disposable {
  readonly dispatcher: MatmulDispatcher;
  readonly #own: boolean;

  /** @param on  a dispatcher (with its plug-ins and tuning), or a device. */
  constructor(on: Device | MatmulDispatcher, options: { readonly precision?: Precision } = {}) {
    this.#own = !(on instanceof MatmulDispatcher);
    this.dispatcher = on instanceof MatmulDispatcher ? on : new MatmulDispatcher(on, options);
  }

  /**
   * Run the ops in order.
   * @param input  activations [m, k] for the ops that bring none, or null.
   * @throws ERR_INVALID_ARGUMENT if an op has no input; and what `matmul` throws.
   */
  async run(
    input: Tensor | null,
    ops: readonly QuantizedMatmulOp[],
    options: BatchMatmulOptions = {},
  ): Promise<BatchMatmulResult> {
    const encoded = this.dispatcher.encodeAll(
      ops.map(({ weights, input: own, label: _, ...rest }, i) => {
        const a = own ?? input;
        if (!a)
          throw new TilewrightError('ERR_INVALID_ARGUMENT', `Op ${i} has no input, and the batch has none either.`);
        return { ...rest, a, b: weights, transposeB: true };
      }),
    );
    const timings = options.timings ?? true;
    try {
      const result = await this.dispatcher.device.submit(
        encoded.flatMap(({ commands }) => commands),
        { signal: options.signal, timings },
      );
      let at = 0;
      const perOp = encoded.map(({ commands }) => {
        const mine = result.timings.slice(at, at + commands.length);
        at += commands.length;
        return mine.reduce((sum, { ms }) => sum + ms, 0);
      });
      return {
        outputs: encoded.map(({ out }) => out),
        timingsMs: timings ? perOp : [],
        totalMs: result.totalMs,
        selections: encoded.map(({ selection }) => selection),
      };
    } catch (error) {
      encoded.forEach(({ out }, i) => {
        if (ops[i]!.out === undefined) out.dispose();
      });
      throw error;
    }
  }

  dispose(): void {
    if (this.#own) this.dispatcher.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
