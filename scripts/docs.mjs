// `npm run docs`: runs the commands whose output the documents show, and puts what they print into the blocks below
// their marks. `npm run docs -- dequant` does those whose command has that word.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, release } from 'node:os';
import { setUp } from './setup.mjs';
import { Failure, main, root, run, say } from './steps.mjs';

const MARK = /(<!-- output of: (tilewright|bench) (.*?) -->\n```\n)[\s\S]*?(```\n)/g;
const only = process.argv[2] ?? '';

/** Output as it goes into a document: without the folders and the kernel's build number of this machine. */
const portable = (text) =>
  text.replaceAll(root, '').replaceAll(homedir(), '~').replaceAll(release(), release().split('-')[0]).trimEnd();

await main(async () => {
  await setUp(); // the commands do so, too, and say what they did
  const files = ['README.md', ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)];
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    const before = readFileSync(root + file, 'utf8');
    let after = before;
    for (const [block, begin, program, args, end] of before.matchAll(MARK)) {
      if (!args.includes(only)) continue;
      say(`${file}: ${program} ${args}`);
      const words = args.split(' ');
      const command = [`${root}bin/${program}.js`, ...words];
      // 1 is also "B is slower": what counts is that there is something to show.
      const { status, output } = await run(process.execPath, command, { stderr: false });
      if (![0, 1].includes(status) || output === '') throw new Failure(`${program} ${args} failed (${status}).`);
      after = after.replace(block, () => `${begin}${portable(output)}\n${end}`);
    }
    if (after !== before) writeFileSync(root + file, after);
  }
});
