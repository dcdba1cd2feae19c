import { describe, expect, it } from 'vitest';
import { HIP_GEMV_DENSE_COLUMNS, HIP_GEMV_ORDERS, hipGemmDense, hipGemvDense } from '../../ts/kernels/hip/dense.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import type { FloatType } from '../metal/matmul-case.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { type HipMatmulCase, runMatmul } from './matmul-case.ts';

const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];
const gemm = (product: FloatType, test: HipMatmulCase) =>
  runMatmul(hipGemmDense, test, () => ({ product: DTYPES[product].id }));

describe.skipIf(!hasClang).each(['gfx906', 'gfx908', 'gfx90a', 'gfx1100', 'gfx1201'] as const)(
  'HIP dense gemm on %s',
  (target) => {
    it.each(FLOATS)(
      'multiplies %s: tiles that are not full, steps along k, any order of the operands',
      async (product) => {
        const types = { aType: product, bType: product, target } as const;
        await gemm(product, { m: 5, n: 131, k: 70, ...types, orders: ['forward'] });
        await gemm(product, {
          m: 67,
          n: 9,
          k: 33,
          ...types,
          aLie: 'columns',
          bLie: 'columns',
          outLie: 'spread',
          orders: [{ random: 5 }],
        });
      },
    );
  },
);

describe.skipIf(!hasClang)('HIP dense gemm', () => {
  it('rounds f32 to the type of the products where matrix instructions multiply them', async () => {
    for (const product of ['f16', 'bf16'] as const) {
      const types = { aType: 'f32', bType: 'f32', roundedTo: product } as const;
      await gemm(product, { m: 3, n: 20, k: 40, ...types, target: 'gfx942' });
    }
    await gemm('f32', { m: 3, n: 20, k: 40, aType: 'bf16', bType: 'f16', target: 'gfx1100' });
  });

  it('has a gate, bias, residual and batches, and operands in any order in memory', async () => {
    const own = { k: 64, activation: 'silu', bias: true, orders: ['forward'] } as const;
    await gemm('f16', { m: 3, n: 70, ...own, aType: 'f16', bType: 'f16', gate: true, batch: 2, target: 'gfx1100' });
    await gemm('f32', { m: 3, n: 70, ...own, bType: 'f32', gate: true, residual: 'f16', target: 'gfx906' });
    const lies = ['padded', 'odd', 'spread', 'reversed'] as const;
    for (const [i, lie] of lies.entries()) {
      const target: Target = i % 2 === 0 ? 'gfx906' : 'gfx1201';
      await gemm('f32', {
        m: 4,
        n: 6,
        k: 35,
        bType: 'f16',
        aLie: lie,
        bLie: lies[(i + 1) % 4]!,
        target,
        orders: ['forward'],
      });
    }
  });

  it('refuses what it cannot do', () => {
    const p = { m: 1, n: 1, k: 1, a_dtype: 0, b_dtype: 0, batch: [1, 1, 1, 1] };
    const refuse = (own: object, product = 0) => hipGemmDense.refuse({ ...p, ...own } as never, { product, gate: 0 });
    expect(refuse({})).toBeNull();
    expect(refuse({}, 3)).toMatch('products');
    expect(refuse({ a_dtype: 3 })).toMatch('plain operands');
    expect(refuse({ n: 2 ** 23 })).toMatch('grid');
  });
});

describe.skipIf(!hasClang).each(['gfx906', 'gfx1100'] as const)('HIP dense gemv on %s', (target) => {
  const gemv = (order: (typeof HIP_GEMV_ORDERS)[number], columns: number, test: Omit<HipMatmulCase, 'target'>) =>
    runMatmul(hipGemvDense, { ...test, target }, () => ({ order: HIP_GEMV_ORDERS.indexOf(order), columns }));

  it.each(HIP_GEMV_DENSE_COLUMNS)('multiplies up to %i rows by weights of every dtype', async (columns) => {
    for (const bType of FLOATS) {
      const m = Math.max(1, columns - 1);
      await gemv('rows', columns, { m, n: 9, k: 530, bType, aType: 'f16', orders: ['forward'] });
      await gemv('columns', columns, { m, n: 137, k: 37, bType, bLie: 'columns', orders: [{ random: 2 }] });
    }
  });

  it('has a gate, bias, residual and batches, and operands in any order in memory', async () => {
    const own = { bType: 'f16', gate: true, bias: true, activation: 'gelu', residual: 'f32' } as const;
    await gemv('rows', 4, { m: 5, n: 6, k: 65, batch: 2, ...own });
    await gemv('columns', 1, { m: 1, n: 5, k: 65, bLie: 'columns', batch: 2, sharedB: true, ...own });
    await gemv('columns', 8, { m: 3, n: 260, k: 9, bLie: 'columns', ...own, orders: ['reverse'] });
    for (const order of HIP_GEMV_ORDERS) {
      for (const lie of ['odd', 'spread', 'reversed'] as const) {
        await gemv(order, 1, { m: 2, n: 5, k: 19, bType: 'bf16', bLie: lie, aLie: lie, orders: ['forward'] });
      }
    }
  });

  it('refuses what it cannot do', () => {
    const p = { m: 1, n: 1, k: 1, a_dtype: 0, b_dtype: 0, batch: [1, 1, 1, 1] };
    const c = { order: 0, columns: 1, gate: 0, wave: 64 };
    expect(hipGemvDense.refuse(p as never, c)).toBeNull();
    expect(hipGemvDense.refuse(p as never, { ...c, order: 2 })).toMatch('order');
    expect(hipGemvDense.refuse(p as never, { ...c, columns: 2 })).toMatch('no instance');
    expect(hipGemvDense.refuse({ ...p, b_dtype: 16 } as never, c)).toMatch('plain operands');
  });
});
