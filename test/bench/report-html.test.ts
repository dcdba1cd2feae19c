import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../bench/cli/main.ts';
import { type ReportInput, readInput } from '../../bench/report/html/input.ts';
import { plain, renderMarkdown } from '../../bench/report/html/markdown.ts';
import { escapeText, html } from '../../bench/report/html/markup.ts';
import { buildReport } from '../../bench/report/html/model.ts';
import { renderPage } from '../../bench/report/html/page.ts';
import { type Sweep, sweepProblem, sweepsOf } from '../../bench/report/html/sweep-file.ts';
import type { SuiteResult } from '../../bench/suites/suite.ts';
import { result } from './made-up.ts';
import { baselineOf, HOSTILE, inputOf, madeUpReport, madeUpSweep } from './made-up-report.ts';

const folder = await mkdtemp(join(tmpdir(), 'tilewright-report-'));
afterAll(() => rm(folder, { recursive: true }));
const file = async (name: string, content: unknown) => {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

/** The page without its own script, in which the words that are looked for may stand. */
const bodyOf = (page: string) => page.replace(/<script>.*?<\/script>/s, '');
const MADE_UP = madeUpReport();

describe('markup', () => {
  it('lets no text of a file become an element, an attribute or an entity', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeText(text)).not.toMatch(/[<>"']|&(?!amp;|lt;|gt;|quot;|#39;)/);
        expect(html`<p title="${text}">${[text, null]}</p>`.text.match(/</g)).toHaveLength(2);
      }),
    );
  });

  it('leaves no Markdown in text of a file', () => {
    expect(plain('a|b <img> [x](http://y) `c` *d* @e')).toBe(
      'a\\|b &lt;img&gt; \\[x\\]\\(http\\://y\\) \\`c\\` \\*d\\* \\@e',
    );
  });
});

describe('a report', () => {
  it('is one page that names nothing outside itself and holds no text of the files as it stands', () => {
    const page = renderPage(MADE_UP, 0.1);
    expect(page).not.toContain('<img');
    expect(page).not.toMatch(/\b(?:src|href)="(?!#)/);
    expect(page).not.toMatch(/@import|url\(|https?:/);
    expect(page).not.toMatch(/\sstyle="|\son\w+="/);
    expect(bodyOf(page)).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(page).toContain(escapeText(HOSTILE));
    expect(page.match(/<script>/g)).toHaveLength(1);
  });

  it('has a mark, a row and a distribution for each result', () => {
    const report = MADE_UP;
    const page = renderPage(report, 0.1);
    const count = (pattern: RegExp) => page.match(pattern)?.length ?? 0;
    const { length } = report.entries;
    expect(count(/<tr id="r\d+"/g)).toBe(length);
    expect(count(/class="chart small/g)).toBe(length);
    expect(count(/class="point /g)).toBe(length);
    for (const { id } of report.entries) expect(page).toContain(`href="#${id}"`);
  });

  it('has the verdicts of compare(), what became slower first', () => {
    const [comparison] = MADE_UP.comparisons;
    const verdicts = comparison!.changes.map(({ verdict }) => verdict);
    expect(verdicts[0]).toBe('slower');
    expect(verdicts.indexOf('same')).toBeGreaterThan(verdicts.lastIndexOf('slower'));
    expect(comparison!.note).toContain('1 of the results are not in the baseline');
    expect(comparison!.changes.find(({ verdict }) => verdict === 'slower')!.ratio.median).toBeCloseTo(1.3, 1);
  });

  it('of other hardware calls nothing slower or faster', () => {
    const other = baselineOf([0.5]);
    const moved = other.results.map((each) => ({ ...each, environment: { ...each.environment, cpu: 'Another one' } }));
    const report = buildReport([inputOf()], {
      threshold: 0.1,
      baseline: { path: 'other.json', content: { ...other, results: moved } },
    });
    expect(new Set(report.comparisons[0]!.changes.map(({ verdict }) => verdict))).toEqual(new Set(['inconclusive']));
    expect(report.comparisons[0]!.note).toContain('Another one');
  });

  it('does with the fields that the schema promises, and ignores others that make no sense', () => {
    const own = result(1) as SuiteResult & Record<string, unknown>;
    const { gflops, gbps, against, threads, ...bare } = own;
    const odd = {
      ...bare,
      format: 7,
      against: { name: 'x' },
      variant: 'V',
      kernel: 'k',
      reason: 'r',
      candidates: [null, 5],
    };
    for (const each of [bare, odd]) {
      const input: ReportInput = { name: 'x', results: [each as unknown as SuiteResult], ab: [], sweeps: [] };
      const page = renderPage(buildReport([input], { threshold: 0.1 }), 0.1);
      expect(bodyOf(page)).not.toMatch(/NaN|undefined|\[object/);
    }
  });

  it('of one sample that never differs is drawn, too', () => {
    const own = result(1);
    const ms = { ...own.ms, samples: [2], min: 2, max: 2, p50: 2, interval: { low: 2, high: 2 }, batch: 1 };
    const page = renderPage(buildReport([{ ...inputOf(), results: [{ ...own, ms }] }], { threshold: 0.1 }), 0.1);
    expect(bodyOf(page)).not.toMatch(/NaN|Infinity/);
  });

  it('in Markdown begins with what became slower and folds the rest', () => {
    const text = renderMarkdown(MADE_UP, 0.1);
    expect(text.indexOf('▲ slower')).toBeGreaterThan(0);
    expect(text.indexOf('▲ slower')).toBeLessThan(text.indexOf('<details>'));
    expect(text.match(/<details>/g)?.length).toBe(text.match(/<\/details>/g)?.length);
    expect(text).not.toContain('<img');
    expect(text).toContain('tileM=64');
  });
});

describe('a sweep', () => {
  it('has a map for each problem, whose cells are the best over what is not on the axes', () => {
    const page = renderPage(buildReport([inputOf({ sweeps: [madeUpSweep()] })], { threshold: 0.1 }), 0.1);
    const maps = page.match(/<figure class="card heat"/g);
    expect(maps).toHaveLength(2);
    // Four by three tiles; the third parameter has two values.
    expect(page.match(/class="cell /g)).toHaveLength(2 * 12);
    expect(page.match(/class="cell [^"]*best"/g)).toHaveLength(2);
    expect(page).toContain('best of 2 over simdgroups');
    expect(page).toContain('needs 36 KiB of threadgroup memory');
  });

  it('of another form is refused with what is wrong', () => {
    const sweep = madeUpSweep();
    expect(sweepProblem(sweep)).toBeNull();
    expect(sweepProblem({ ...sweep, version: 2 })).toContain('version');
    expect(sweepProblem({ ...sweep, results: [{ shape: { m: 1 }, configuration: { tile: [1] }, ms: 1 }] })).toContain(
      'configuration',
    );
    expect(sweepProblem({ ...sweep, results: [{ shape: { m: 1 }, configuration: { a: 1 }, ms: -1 }] })).toContain('ms');
  });

  it('of this package has its defaults named, rows of activations beside a single entry, and what was refused', () => {
    const shape = (m: number) => ({ format: 'q4_k', precision: 'fast', m, n: 64, k: 256 }) as const;
    const point = (m: number, value: number | null, ms: number, study = 'rows') => {
      return { study, shape: shape(m), configuration: value === null ? {} : { gemvRows: value }, ms, rounds: 3 };
    };
    const measurements = [
      ...[point(1, null, 2), point(1, 8, 1), point(4, null, 3), point(4, 8, 6)],
      point(4, 8, 4, 'rows, again'),
    ];
    const refused = [{ shape: 'q4_k m=4 n=64 k=256 fast', configuration: { gemvRows: 99 }, reason: 'too many' }];
    const studies = [{ study: 'rows', refused }];
    const sweeps = sweepsOf([{ key: { device: 'A GPU', backend: 'hip' }, measurements, studies }]) as Sweep[];
    expect(sweeps.map(sweepProblem)).toEqual([null]);
    expect(sweeps[0]!.results).toHaveLength(5);
    const page = renderPage(buildReport([inputOf({ sweeps })], { threshold: 0.1 }), 0.1);
    expect(page.match(/<figure class="card heat"/g)).toHaveLength(1);
    expect(page.match(/<h3>A GPU \(hip\)/g)).toHaveLength(1);
    const labels = [...page.matchAll(/class="cell [^"]*"[^>]* aria-label="([^"]*)"/g)].map(([, label]) => label);
    expect(labels).toEqual([
      'gemvRows=8; 1.00 ms, 1.00 times the best',
      expect.stringMatching(/not tried/),
      'default; 2.00 ms, 2.00 times the best',
      'gemvRows=8; 4.00 ms, 1.33 times the best',
      expect.stringMatching(/too many/),
      'default; 3.00 ms, 1.00 times the best',
    ]);
  });
});

describe('files', () => {
  it('may be baselines, JSON of suites and of A/B runs, and sweeps', async () => {
    const { results } = inputOf();
    const { label, case: name, ms, environment } = { label: 'A', ...results[0]! };
    const half = { label, case: name, ms, bandwidth: ms, environment };
    const ab = [
      { suite: 'matmul', a: half, b: half, passes: 9, ratio: { median: 1, low: 0.9, high: 1.1 }, verdict: 'same' },
    ];
    expect((await readInput(await file('baseline.json', baselineOf([])))).results).toHaveLength(results.length);
    expect((await readInput(await file('json.json', results))).results).toHaveLength(results.length);
    expect((await readInput(await file('ab.json', ab))).ab).toHaveLength(1);
    const sweep: Sweep = madeUpSweep();
    expect((await readInput(await file('sweep.json', sweep))).sweeps).toEqual([sweep]);
  });

  it.each([
    ['{', /cannot be read as JSON/],
    [{ a: 1 }, /holds no results/],
    [[], /holds no results/],
    [[{ suite: 'matmul' }], /holds no results.*\/results\/0/],
    [null, /holds no results/],
    [{ format: 'tilewright-bench-sweep', version: 1, results: [] }, /not a sweep/],
  ])('of something else are refused: %j', async (content, message) => {
    const path = await file('bad.json', content);
    await expect(readInput(path)).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringMatching(message) });
  });
});

describe('bench report', () => {
  it('writes the page, and Markdown to standard output', async () => {
    const now = await file('now.json', inputOf().results);
    const before = await file('before.json', baselineOf([1.3]));
    const target = join(folder, 'out.html');
    const written = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
        written[name] += chunk;
        return true;
      });
    }
    await main('bench', ['report', now, '--baseline', before, '-o', target, '--title', '<i>Mine</i>']);
    const { stdout } = written;
    await main('bench', ['report', now, '--baseline', before, '--markdown']);
    vi.restoreAllMocks();
    expect(stdout).toBe('');
    expect(await readFile(target, 'utf8')).toContain('<h1>&lt;i&gt;Mine&lt;/i&gt;</h1>');
    expect(written.stdout).toMatch(/^## Bench: /);
    expect(written.stderr).toMatch(/^Wrote [^\n]*out\.html: \d+ KiB\.\n$/);
  });
});
