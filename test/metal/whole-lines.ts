import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Counters } from '../../ts/testbed/dispatch.ts';

/** A simdgroup load touches at most two lines of 128 bytes for every 128 bytes that it needs. */
export function expectWholeLines(counters: Counters): void {
  for (const site of counters.sites) {
    if (site.space !== 'device' || site.write) continue;
    // The compiler of the test bed reads vectors of 16 bytes in two parts; the line of the source says which those are.
    const source = readFileSync(site.file, 'utf8').split('\n')[site.line - 1]!;
    const bytes = Math.max(site.bytes / site.accesses, source.includes('uint4') ? 16 * 32 : 0);
    const lines = site.lines / site.accesses;
    expect(lines, `${site.file}:${site.line}: ${source}`).toBeLessThanOrEqual(2 * Math.ceil(bytes / 128));
  }
}
