import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasClang } from './support.ts';
import { trafficTables } from './traffic-table.ts';

const path = new URL('../../docs/kernels.md', import.meta.url);
const [BEGIN, END] = ['<!-- counted: begin -->\n', '<!-- counted: end -->'];

describe.skipIf(!hasClang)('the traffic in docs/kernels.md', () => {
  it('is what the test bed counts (TILEWRIGHT_UPDATE=1 writes it)', { timeout: 240_000 }, async () => {
    const text = readFileSync(path, 'utf8');
    const [from, to] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
    const tables = await trafficTables();
    if (process.env.TILEWRIGHT_UPDATE === '1') writeFileSync(path, text.slice(0, from) + tables + text.slice(to));
    else expect(text.slice(from, to)).toBe(tables);
  });
});
