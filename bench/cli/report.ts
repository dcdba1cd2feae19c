import { rename, rm, writeFile } from 'node:fs/promises';
import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { TilewrightError } from '../../ts/errors.ts';
import { loadBaseline } from '../baseline/file.ts';
import type { ReportInput } from '../report/html/input.ts';
import type { SuiteResult } from '../suites/suite.ts';
import { BASELINE_OPTIONS } from './options.ts';

const OPTIONS = {
  output: { alias: 'o', type: 'string', describe: 'File to write, - for standard output [default: report.html]' },
  markdown: { type: 'boolean', default: false, describe: 'Markdown for a pull request, to standard output unless -o' },
  baseline: { type: 'string', describe: 'Compare with the results in this file' },
  threshold: BASELINE_OPTIONS.threshold,
  title: { type: 'string', describe: 'Heading [default: the device]' },
} as const satisfies Record<string, Options>;

type Args = InferredOptionTypes<typeof OPTIONS> & { readonly files: readonly string[] };

export const reportCommand: CommandModule<object, Args> = {
  command: 'report <files..>',
  describe: 'Make one HTML page, or Markdown, of results that were kept',
  builder: (yargs) =>
    yargs
      .positional('files', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Of --save-baseline, --json, ab --json or sweep; - is standard input',
      })
      .options(OPTIONS)
      .example('$0 report now.json -o report.html', 'a page that opens from disk')
      .example('$0 report now.json --baseline before.json --markdown', 'for a pull request') as never,
  handler: async ({ files, output, markdown, baseline, threshold, title }) => {
    // Loaded when wanted: measuring needs none of it.
    const { readInput } = await import('../report/html/input.ts');
    const inputs: ReportInput[] = [];
    for (const file of files) inputs.push(await readInput(String(file)));
    await writeReport(inputs, { output, markdown, baseline, threshold, title });
  },
};

/** Where a report goes, and what is in it besides the results. */
export type ReportTarget = Pick<Args, 'markdown' | 'threshold'> & Partial<Pick<Args, 'output' | 'baseline' | 'title'>>;

/** A report of results that were just measured. */
export async function reportOf(name: string, results: readonly SuiteResult[], target: ReportTarget): Promise<void> {
  await writeReport([{ name, results, ab: [], sweeps: [] }], target);
}

async function writeReport(inputs: readonly ReportInput[], target: ReportTarget): Promise<void> {
  const { markdown, threshold, title } = target;
  const [{ buildReport }, { renderPage }, { renderMarkdown }] = await Promise.all([
    import('../report/html/model.ts'),
    import('../report/html/page.ts'),
    import('../report/html/markdown.ts'),
  ]);
  const path = target.baseline;
  const baseline = path === undefined ? undefined : { path, content: await loadBaseline(path) };
  const report = buildReport(inputs, { title, baseline, threshold });
  const text = markdown ? renderMarkdown(report, threshold) : renderPage(report, threshold);
  const output = target.output ?? (markdown ? '-' : 'report.html');
  if (output === '-') {
    process.stdout.write(text);
    return;
  }
  const unfinished = `${output}.${process.pid}.part`;
  try {
    await writeFile(unfinished, text);
    await rename(unfinished, output);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw new TilewrightError('ERR_FILE', `Cannot write the report ${output}: ${(cause as Error).message}.`, { cause });
  }
  process.stderr.write(`Wrote ${output}: ${(text.length / 1024).toFixed(0)} KiB.\n`);
}
