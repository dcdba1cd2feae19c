import { QuantizedTensor, Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { ACTIVATIONS, type Activation, MAX_BATCH_RANK } from '../kernels/types.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Shape } from '../tensor/layout.ts';
import type { QuantFormatInfo } from '../tensor/quant-format.ts';
import type { AffineQuantization, MatmulArgs, Precision, Weights } from './args.ts';

/** A matrix of a batch of matrices: strides of its two dimensions and of the batch, in elements (quantized b: bytes). */
export interface MatrixLayout {
  /** Strides of (m, k) for a, (n, k) for weights, (m, n) for results. */
  readonly strides: readonly [number, number];
  readonly batch: readonly number[];
}

/** The affine entries' strides over (n, group), or null where there is none. */
export interface AffineLayout {
  readonly group: number;
  readonly scale: readonly [number, number];
  readonly zero: readonly [number, number] | null;
  readonly offset: readonly [number, number] | null;
}

/** A matmul without its data: all that decides which kernel may and should run. */
export interface MatmulProblem {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Sizes of the batch dimensions that are left after merging, at most {@link MAX_BATCH_RANK}. */
  readonly batch: readonly number[];
  /** Shape of the result as the caller sees it. */
  readonly outShape: Shape;
  readonly aDType: DType;
  /** Element type of plain weights, null for block-quantized ones. */
  readonly bDType: DType | null;
  /** Format of block-quantized weights, else null. */
  readonly format: QuantFormatInfo | null;
  readonly outDType: DType;
  readonly residualDType: DType | null;
  readonly biasDType: DType | null;
  readonly a: MatrixLayout;
  readonly b: MatrixLayout;
  readonly gate: MatrixLayout | null;
  readonly out: MatrixLayout;
  readonly residual: MatrixLayout | null;
  readonly biasStride: number;
  readonly gateBiasStride: number;
  readonly hasBias: boolean;
  readonly hasGateBias: boolean;
  readonly affine: AffineLayout | null;
  readonly gateAffine: AffineLayout | null;
  readonly alpha: number;
  readonly beta: number;
  readonly activation: Activation;
  readonly precision: Precision;
}

const mismatch = (message: string, details: Record<string, unknown>): never => {
  throw new TilewrightError('ERR_SHAPE_MISMATCH', message, { details });
};
const shown = (shape: Shape) => `[${shape.join(', ')}]`;

interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly rowStride: number;
  readonly colStride: number;
  readonly batch: Shape;
  readonly batchStrides: readonly number[];
}

function matrix(shape: Shape, strides: readonly number[], transposed: boolean): Matrix {
  const rank = shape.length;
  const [r, c] = transposed ? [rank - 1, rank - 2] : [rank - 2, rank - 1];
  return {
    rows: shape[r]!,
    cols: shape[c]!,
    rowStride: strides[r]!,
    colStride: strides[c]!,
    batch: shape.slice(0, -2),
    batchStrides: strides.slice(0, -2),
  };
}

/** Weights as [n, k]. */
function weightMatrix(b: Weights, transposeB: boolean, name: string): Matrix & { vector: boolean } {
  if (b instanceof QuantizedTensor) {
    if (b.rank < 2)
      mismatch(`Quantized weights "${name}" are [..., n, k], but got ${shown(b.shape)}.`, { shape: b.shape });
    return { ...matrix(b.shape, b.layout.strides, false), vector: false };
  }
  if (b.rank === 1) {
    return { ...matrix([1, b.shape[0]!], [0, b.strides[0]!], false), vector: true };
  }
  if (b.rank === 0) mismatch(`Weights "${name}" have no dimensions.`, { shape: b.shape });
  return { ...matrix(b.shape, b.strides, !transposeB), vector: false };
}

function broadcastShapes(shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[i - rank + shape.length] ?? 1;
      if (own === 1) continue;
      if (size !== 1 && size !== own) {
        mismatch(`Batch dimensions ${shapes.map(shown).join(' and ')} do not broadcast together.`, { shapes });
      }
      size = own;
    }
    return size;
  });
}

const broadcastStrides = (shape: Shape, strides: readonly number[], target: Shape): number[] =>
  target.map((size, i) => {
    const own = i - target.length + shape.length;
    if (own < 0 || (shape[own] === 1 && size !== 1)) return 0;
    return strides[own]!;
  });

/** Check the arguments and bring them into the form that kernels take. @throws ERR_SHAPE_MISMATCH and others */
export function describe(args: MatmulArgs, defaultPrecision: Precision): MatmulProblem {
  const { a, b } = args;
  if (!(a instanceof Tensor)) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', '`a` must be a Tensor; quantized operands go into `b`.');
  }
  const format = b instanceof QuantizedTensor ? b.format : null;
  if (format !== null && args.transposeB === false) {
    mismatch(`${format.name} weights are packed along k, so they are [n, k]; leave transposeB out or set it.`, {
      format: format.name,
    });
  }
  const transposeB = args.transposeB ?? format !== null;
  if (a.rank === 0) mismatch('`a` has no dimensions.', { shape: a.shape });
  const aVector = a.rank === 1;
  const am = aVector
    ? matrix([1, a.shape[0]!], [0, a.strides[0]!], false)
    : matrix(a.shape, a.strides, args.transposeA ?? false);
  const bm = weightMatrix(b, transposeB, 'b');
  const [m, n, k] = [am.rows, bm.rows, am.cols];
  if (bm.cols !== k) {
    mismatch(
      `a ${shown(a.shape)}${args.transposeA ? ' (transposed)' : ''} has k = ${k}, but b ${shown(b.shape)}` +
        `${transposeB ? ' ([n, k])' : ' ([k, n])'} has k = ${bm.cols}.`,
      { a: a.shape, b: b.shape, transposeA: args.transposeA ?? false, transposeB },
    );
  }

  const gm = args.gate === undefined ? null : weightMatrix(args.gate, transposeB, 'gate');
  if (gm !== null) {
    const gate = args.gate!;
    const same = gate instanceof QuantizedTensor ? gate.format === format : gate.dtype === (b as Tensor).dtype;
    if (gm.rows !== n || gm.cols !== k || !same || gate instanceof QuantizedTensor !== (format !== null)) {
      mismatch(`The gate ${String(gate)} must have the type and shape of b, ${String(b)}.`, {
        gate: gate.shape,
        b: b.shape,
      });
    }
  } else if (args.gateBias !== undefined || args.gateQuantization !== undefined) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', 'gateBias and gateQuantization need a gate.');
  }

  const batchShape = broadcastShapes([am.batch, bm.batch, ...(gm ? [gm.batch] : [])]);
  const outShape = [...batchShape, ...(aVector ? [] : [m]), ...(bm.vector ? [] : [n])];
  const result = (tensor: Tensor, name: string, exact: boolean): MatrixLayout => {
    const full = exact || tensor.rank > outShape.length ? tensor.layout : tensor.layout.broadcastTo(outShape);
    if (full.rank !== outShape.length || outShape.some((size, i) => full.shape[i] !== size)) {
      mismatch(`${name} has shape ${shown(tensor.shape)}, but the result has ${shown(outShape)}.`, {
        [name]: tensor.shape,
        result: outShape,
      });
    }
    const strides = full.strides;
    const columns = bm.vector ? 0 : 1;
    return {
      strides: [aVector ? 0 : strides[batchShape.length]!, columns ? strides.at(-1)! : 0],
      batch: strides.slice(0, batchShape.length),
    };
  };
  const outDType = args.out?.dtype ?? args.outDType ?? 'f32';
  const out: MatrixLayout =
    args.out !== undefined
      ? result(args.out, 'out', true)
      : {
          strides: [bm.vector ? 1 : n, 1],
          batch: batchShape.map((_, i) => batchShape.slice(i + 1).reduce((x, y) => x * y, m * n)),
        };
  if (args.out !== undefined && m * n > 1 && overlapsItself(args.out)) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', '`out` maps several elements to one place (stride 0).', {
      details: { shape: args.out.shape, strides: args.out.strides },
    });
  }
  const beta = args.beta ?? (args.residual === undefined ? 0 : 1);
  const residualTensor = args.residual ?? (beta === 0 ? undefined : args.out);
  if (beta !== 0 && residualTensor === undefined) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', 'beta needs a residual, or an `out` that holds values.');
  }
  const residual = residualTensor === undefined || beta === 0 ? null : result(residualTensor, 'residual', false);
  const vectorOf = (tensor: Tensor | undefined, name: string): number => {
    if (tensor === undefined) return 0;
    if (tensor.rank === 0 || (tensor.rank === 1 && tensor.shape[0] === 1 && n !== 1)) return 0;
    if (tensor.rank !== 1 || tensor.shape[0] !== n) {
      mismatch(`${name} has shape ${shown(tensor.shape)}, but [${n}] is needed.`, { [name]: tensor.shape, n });
    }
    return tensor.strides[0]!;
  };
  if (args.bias && args.gateBias && args.bias.dtype !== args.gateBias.dtype) {
    throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', 'bias and gateBias must have one dtype.');
  }
  const activation = args.activation ?? 'none';
  if (!Object.hasOwn(ACTIVATIONS, activation)) {
    throw new TilewrightError(
      'ERR_INVALID_ARGUMENT',
      `Unknown activation "${activation}". Known: ${Object.keys(ACTIVATIONS).join(', ')}.`,
    );
  }
  const affine = describeAffine(args.quantization, b, n, k);
  const gateAffine = args.gate === undefined ? null : describeAffine(args.gateQuantization, args.gate, n, k);
  if (affine !== null && gateAffine !== null && affine.group !== gateAffine.group) {
    mismatch('b and gate must have one group size.', { b: affine.group, gate: gateAffine.group });
  }

  const merged = mergeBatch(batchShape, m, {
    a: [am.rowStride, am.colStride, broadcastStrides(am.batch, am.batchStrides, batchShape)],
    b: [bm.rowStride, bm.colStride, broadcastStrides(bm.batch, bm.batchStrides, batchShape)],
    gate: gm && [gm.rowStride, gm.colStride, broadcastStrides(gm.batch, gm.batchStrides, batchShape)],
    out: [...out.strides, out.batch],
    residual: residual && [...residual.strides, residual.batch],
  });
  return {
    ...merged,
    n,
    k,
    outShape,
    aDType: a.dtype,
    bDType: format === null ? (b as Tensor).dtype : null,
    format,
    outDType,
    residualDType: residual === null ? null : residualTensor!.dtype,
    biasDType: args.bias?.dtype ?? args.gateBias?.dtype ?? null,
    biasStride: vectorOf(args.bias, 'bias'),
    gateBiasStride: vectorOf(args.gateBias, 'gateBias'),
    hasBias: args.bias !== undefined,
    hasGateBias: args.gateBias !== undefined,
    affine,
    gateAffine,
    alpha: args.alpha ?? 1,
    beta,
    activation,
    precision: args.precision ?? defaultPrecision,
  };
}

function overlapsItself(tensor: Tensor): boolean {
  return tensor.shape.some((size, i) => size > 1 && tensor.strides[i] === 0);
}

function describeAffine(q: AffineQuantization | undefined, b: Weights, n: number, k: number): AffineLayout | null {
  if (q === undefined) return null;
  if (b instanceof QuantizedTensor) {
    throw new TilewrightError(
      'ERR_INVALID_ARGUMENT',
      `${b.format.name} blocks carry their own scales; \`quantization\` is for plain integer weights.`,
    );
  }
  let groups = 1;
  const entry = (value: number | Tensor | undefined, name: string): readonly [number, number] | null => {
    if (value === undefined) return null;
    if (typeof value === 'number') return [0, 0];
    if (value.dtype !== 'f32') {
      throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `${name} must be f32, not ${value.dtype}.`);
    }
    if (value.rank === 0 || value.size === 1) return [0, 0];
    if (value.rank > 2 || value.shape[0] !== n) {
      mismatch(`${name} has shape ${shown(value.shape)}; a number, [${n}] or [${n}, groups] is needed.`, {
        [name]: value.shape,
        n,
      });
    }
    if (value.rank === 1) return [value.strides[0]!, 0];
    const own = value.shape[1]!;
    if (groups !== 1 && own !== 1 && own !== groups)
      mismatch('scale, zeroPoint and offset differ in groups.', { groups, own });
    groups = Math.max(groups, own);
    return [value.strides[0]!, own === 1 ? 0 : value.strides[1]!];
  };
  const scale = entry(q.scale, 'scale')!;
  const zero = entry(q.zeroPoint, 'zeroPoint');
  const offset = entry(q.offset, 'offset');
  const group = q.groupSize ?? Math.max(1, Math.ceil(k / groups));
  if (!Number.isSafeInteger(group) || group < 1 || (groups > 1 && Math.ceil(k / group) !== groups)) {
    mismatch(`${groups} groups of ${group} weights do not cover k = ${k}.`, { groups, group, k });
  }
  return { group: groups === 1 ? Math.max(k, 1) : group, scale, zero, offset };
}

type Strides = readonly [number, number, readonly number[]];

/**
 * Drop batch dimensions of size 1, merge neighbours whose strides allow it, and fold a batch that all shares one b into
 * the rows: attention heads and token batches then run as one larger matmul.
 */
function mergeBatch(
  batchShape: readonly number[],
  m: number,
  operands: { a: Strides; b: Strides; gate: Strides | null; out: Strides; residual: Strides | null },
) {
  const names = ['a', 'b', 'gate', 'out', 'residual'] as const;
  const strides = names.map((name) => operands[name]?.[2] ?? null);
  const kept: { size: number; strides: (number | null)[] }[] = [];
  batchShape.forEach((size, i) => {
    if (size === 1) return;
    const own = strides.map((stride) => stride?.[i] ?? null);
    const last = kept.at(-1);
    if (last?.strides.every((stride, t) => stride === null || stride === own[t]! * size)) {
      last.size *= size;
      last.strides = own;
    } else {
      kept.push({ size, strides: own });
    }
  });
  const inner = kept.at(-1);
  const foldable = (index: number) => {
    const operand = operands[names[index]!];
    return operand === null || inner!.strides[index] === operand[0] * m || (m === 1 && index !== 1 && index !== 2);
  };
  let rows = m;
  const rowStride = { a: operands.a[0], out: operands.out[0], residual: operands.residual?.[0] ?? 0 };
  if (
    inner !== undefined &&
    m > 0 &&
    inner.strides[1] === 0 &&
    (inner.strides[2] ?? 0) === 0 &&
    foldable(0) &&
    foldable(3) &&
    foldable(4)
  ) {
    kept.pop();
    rows = m * inner.size;
    if (m === 1) {
      rowStride.a = inner.strides[0]!;
      rowStride.out = inner.strides[3]!;
      rowStride.residual = inner.strides[4] ?? 0;
    }
  }
  if (kept.length > MAX_BATCH_RANK) {
    mismatch(`Kernels take ${MAX_BATCH_RANK} batch dimensions that cannot be merged; this has ${kept.length}.`, {
      batch: batchShape,
    });
  }
  const layout = (index: number, row: number): MatrixLayout | null => {
    const operand = operands[names[index]!];
    return operand && { strides: [row, operand[1]], batch: kept.map((dimension) => dimension.strides[index]!) };
  };
  return {
    m: rows,
    batch: kept.map((dimension) => dimension.size),
    a: layout(0, rowStride.a)!,
    b: layout(1, operands.b[0])!,
    gate: layout(2, operands.gate?.[0] ?? 0),
    out: layout(3, rowStride.out)!,
    residual: layout(4, rowStride.residual),
  };
}
