import type { Token } from './tokens.ts';

const PRECEDENCE: Readonly<Record<string, number>> = {
  '|': 1,
  '^': 2,
  '&': 3,
  '<<': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '%': 6,
};
const OPERATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '&': (a, b) => a & b,
  '<<': (a, b) => a << b,
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => Math.trunc(a / b),
  '%': (a, b) => a % b,
};

/** Value of an integer expression of literals, as attributes have it after the preprocessor; undefined for others. */
export function integerValue(tokens: readonly Token[]): number | undefined {
  let at = 0;
  const primary = (): number => {
    const token = tokens[at++];
    if (token?.source === '(') {
      const value = binary(1);
      return tokens[at++]?.source === ')' ? value : Number.NaN;
    }
    if (token?.source === '-') return -primary();
    return token?.kind === 'number' ? Number(token.source.replace(/[uUlL]+$/, '')) : Number.NaN;
  };
  const binary = (least: number): number => {
    let left = primary();
    for (;;) {
      const operator = tokens[at]?.source ?? '';
      const level = PRECEDENCE[operator];
      if (level === undefined || level < least) return left;
      at++;
      left = OPERATIONS[operator]!(left, binary(level + 1));
    }
  };
  const value = binary(1);
  return Number.isInteger(value) && at === tokens.length ? value : undefined;
}
