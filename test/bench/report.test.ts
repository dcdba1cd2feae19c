import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXPLAINED, wrap } from '../../bench/demo/report.ts';
import { bytes, milliseconds, printable } from '../../bench/report/format.ts';
import { renderTable } from '../../bench/report/table.ts';

describe('numbers', () => {
  it('have three significant digits', () => {
    expect([0, 0.00123, 0.0123, 0.123, 1.234, 12.34, 123.4, 1234].map(milliseconds)).toMatchInlineSnapshot(`
      [
        "0.0000",
        "0.0012",
        "0.0123",
        "0.123",
        "1.23",
        "12.3",
        "123",
        "1234",
      ]
    `);
  });

  it('have a unit that fits', () => {
    expect([0, 1023, 1024, 1536 * 1024, 20 << 20, 2 ** 40].map(bytes)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '1.50 MiB',
      '20.0 MiB',
      '1.00 TiB',
    ]);
  });
});

describe('text from files', () => {
  it('cannot steer the terminal', () => {
    expect(printable('a\u001b[31mred\u0007\n\u009b2J\u202egnp.exe')).toBe(
      'a\\u001b[31mred\\u0007\\u000a\\u009b2J\\u202egnp.exe',
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they must be gone.
        expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('is cut where it is too long', () => {
    expect(printable('abcdef', 4)).toBe('abc…');
    expect(printable('abcd', 4)).toBe('abcd');
  });
});

describe('tables', () => {
  it('line up without rules or trailing blanks', () => {
    const columns = [
      { header: 'name', cell: (row: { name: string; value: number }) => row.name },
      { header: 'value', align: 'right' as const, cell: (row: { value: number }) => String(row.value) },
      { header: 'note', cell: () => '' },
    ];
    const rows = [
      { name: 'a', value: 1 },
      { name: 'longer', value: 1000000 },
    ];
    expect(renderTable(columns, rows)).toBe(['name      value  note', 'a             1', 'longer  1000000'].join('\n'));
  });
});

describe('wrapping', () => {
  it('keeps every word, and lines within the width', () => {
    const text = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(text, (words) => {
        const wrapped = wrap(`  × Gemv (gemv)  refused: ${words.join(' ')}`, EXPLAINED, 50);
        expect(wrapped.replace(/\s+/g, ' ')).toBe(` × Gemv (gemv) refused: ${words.join(' ')}`);
        for (const line of wrapped.split('\n')) expect(line.length).toBeLessThanOrEqual(50);
      }),
    );
  });
});
