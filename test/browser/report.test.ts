import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPage } from '../../bench/report/html/page.ts';
import { HOSTILE, madeUpReport } from '../bench/made-up-report.ts';
import { findChromium } from './chromium.ts';

const executablePath = findChromium();
const why = executablePath === null ? ' (skipped: there is no Chromium; install it, or set TILEWRIGHT_CHROMIUM)' : '';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** In the page; as text, since this project has no types of the DOM. */
const PAPER = 'getComputedStyle(document.body).backgroundColor';

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

describe.skipIf(executablePath === null)(`a report in Chromium${why}`, () => {
  const report = madeUpReport();
  let folder: string;
  let browser: Browser;
  let page: Page;
  const said: string[] = [];
  const asked: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tilewright-browser-'));
    const path = join(folder, 'report.html');
    await writeFile(path, renderPage(report, 0.1));
    browser = await chromium.launch({ executablePath: executablePath!, args: ARGS });
    const context = await browser.newContext({ colorScheme: 'light', viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('dialog', (dialog) => {
      said.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(pathToFileURL(path).href);
  });
  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  it('opens from disk without an error, a request or a script of the files', () => {
    expect(said).toEqual([]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatch(/^file:/);
  });

  it('shows the text of files as text', async () => {
    expect(await page.locator('h1').textContent()).toBe(HOSTILE.replace('\u202e', '\\u202e'));
    expect(await page.locator('img').count()).toBe(0);
  });

  it('has a mark in every chart, within the chart', async () => {
    const charts = (await page.evaluate(`
      [...document.querySelectorAll('svg.chart:not(.axis-strip, .meter)')].map((chart) => {
        const frame = chart.getBoundingClientRect();
        const inside = ({ left, right, top, bottom, width, height }) => width > 0 && height > 0 &&
          left > frame.left - 2 && right < frame.right + 2 && top > frame.top - 2 && bottom < frame.bottom + 2;
        const marks = [...chart.querySelectorAll('.mark, .bars rect, .cell rect')];
        return {
          name: chart.getAttribute('class'),
          marks: marks.length,
          inside: marks.every((mark) => inside(mark.getBoundingClientRect())),
        };
      })`)) as { name: string; marks: number; inside: boolean }[];
    expect(charts.length).toBeGreaterThan(report.entries.length);
    for (const chart of charts) {
      expect(chart.marks, chart.name).toBeGreaterThan(0);
      expect(chart.inside, chart.name).toBe(true);
    }
  });

  it('goes from mark to mark by the arrow keys, and says what each is', async () => {
    await page.locator('.point[tabindex="0"]').focus();
    await page.keyboard.press('ArrowRight');
    const focused = page.locator('.point:focus');
    expect(await focused.getAttribute('tabindex')).toBe('0');
    expect(await page.locator('.point[tabindex="0"]').count()).toBe(1);
    const [first] = (await focused.getAttribute('aria-label'))!.split('; ');
    expect(await page.locator('#tip strong').textContent()).toBe(first);
    await page.keyboard.press('Escape');
    expect(await page.locator('#tip').isHidden()).toBe(true);
    await page.keyboard.press('Enter');
    expect(await page.locator('tr:target').count()).toBe(1);
  });

  it('sorts and filters', async () => {
    const first = () => page.locator('table.results tbody tr:visible th').first().textContent();
    await page.locator('table.results thead button', { hasText: 'p95' }).click();
    expect(await first()).toBe(
      report.entries.reduce((a, b) => (b.ms.p95 > a.ms.p95 ? b : a)).case.replace('\u202e', '\\u202e'),
    );
    await page.locator('#filter').fill('q8_0 m=8');
    expect(await page.locator('table.results tbody tr:visible').count()).toBe(1);
    expect(await first()).toMatch(/^q8_0 m=8 /);
    await page.locator('#filter').fill('');
  });

  it('has no violation of accessibility rules, contrast among them, in either theme', async () => {
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe);
    const violations = async () => {
      const found = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResults;
      return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`);
    };
    const paper = () => page.evaluate(PAPER);
    const light = await paper();
    expect(await violations()).toEqual([]);
    await page.locator('#theme').click();
    expect(await paper()).not.toBe(light);
    expect(await violations()).toEqual([]);
    await page.locator('#theme').click();
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await paper()).toBe(light); // what was chosen outweighs the system
  });

  it('follows the dark theme of the system, and fits a telephone', async () => {
    const context = await browser.newContext({ colorScheme: 'dark', viewport: { width: 390, height: 800 } });
    const other = await context.newPage();
    await other.goto(page.url().replace(/#.*/, ''));
    const paper = await other.evaluate(PAPER);
    const width = await other.evaluate('document.documentElement.scrollWidth');
    expect(paper).toBe('rgb(14, 17, 22)');
    expect(width).toBeLessThanOrEqual(390);
    await context.close();
    expect(said).toEqual([]);
  });
});
