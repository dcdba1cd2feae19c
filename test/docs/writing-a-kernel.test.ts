// Executes docs/writing-a-kernel.md: its files are written, its commands run in a shell, its modules imported, and their
// output has to be what the document shows. TILEWRIGHT_UPDATE=1 writes the output into the document.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findToolchain } from '../../ts/testbed/toolchain.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const document = join(root, 'docs/writing-a-kernel.md');
mkdirSync(join(root, 'build/test'), { recursive: true });
const folder = mkdtempSync(join(root, 'build/test/writing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasClang = await findToolchain().then(
  () => true,
  () => false,
);

/** A fenced block and the comment before it, which says what it is. */
interface Block {
  readonly kind: string;
  readonly name: string;
  readonly body: string;
  /** Where the body stands in the document. */
  readonly from: number;
}

function blocks(text: string): Block[] {
  const pattern = /(?:<!-- (file|run|module|output)(?:: (\S+))? -->\n)?^```\w+\n([\s\S]*?)^```$/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const body = match[3]!;
    const from = match.index + match[0].length - 3 - body.length;
    return { kind: match[1] ?? 'unmarked', name: match[2] ?? '', body, from };
  });
}

/** `npx tilewright` runs the sources: a document is true of the commit that it stands in. */
function commandPath(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const main = join(bin, 'main.ts');
  const cli = JSON.stringify(join(root, 'bench/cli/main.ts'));
  writeFileSync(main, `import { main } from ${cli};\nawait main('tilewright', process.argv.slice(3));\n`);
  const tsx = join(root, 'node_modules/tsx/dist/loader.mjs');
  writeFileSync(join(bin, 'npx'), `#!/bin/sh\nexec "${process.execPath}" --import "${tsx}" "${main}" "$@"\n`);
  chmodSync(join(bin, 'npx'), 0o755);
  return [bin, process.env.PATH].join(delimiter);
}

/** The commands of a console block, each followed by what it prints. */
function execute(body: string, path: string): string {
  const commands = body.split('\n').filter((line) => line.startsWith('$ '));
  const lines = commands.flatMap((line) => {
    const shell = { cwd: folder, encoding: 'utf8', env: { ...process.env, PATH: path } } as const;
    const { stdout, stderr } = spawnSync('bash', ['-c', `exec 2>&1; ${line.slice(2)}`], shell);
    return [line, ...(stdout + stderr).split('\n').slice(0, -1)];
  });
  return `${lines.join('\n')}\n`;
}

/** What a module prints while it is imported. */
async function printed(name: string, body: string): Promise<string> {
  writeFileSync(join(folder, name), body);
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    await import(join(folder, name));
    return log.mock.calls.map((values) => `${format(...values)}\n`).join('');
  } finally {
    log.mockRestore();
  }
}

describe('docs/writing-a-kernel.md', () => {
  it('says of each of its blocks what it is', () => {
    // A block without <!-- file: name -->, <!-- run -->, <!-- module: name --> or <!-- output: name --> before it would
    // not be executed.
    const unmarked = blocks(readFileSync(document, 'utf8')).filter(({ kind }) => kind === 'unmarked');
    expect(unmarked.map(({ body }) => body)).toEqual([]);
  });

  it.skipIf(!hasClang)('shows what its commands and modules print', { timeout: 120_000 }, async () => {
    const text = readFileSync(document, 'utf8');
    const path = commandPath();
    const outputs = new Map<string, string>();
    const changes: { block: Block; now: string }[] = [];
    for (const block of blocks(text)) {
      if (block.kind === 'file') writeFileSync(join(folder, block.name), block.body);
      if (block.kind === 'run') changes.push({ block, now: execute(block.body, path) });
      if (block.kind === 'module') outputs.set(block.name, await printed(block.name, block.body));
      if (block.kind === 'output') changes.push({ block, now: outputs.get(block.name)! });
    }
    expect(changes.length).toBeGreaterThan(0);
    if (process.env.TILEWRIGHT_UPDATE === '1') {
      let updated = text;
      for (const { block, now } of changes.reverse()) {
        updated = updated.slice(0, block.from) + now + updated.slice(block.from + block.body.length);
      }
      writeFileSync(document, updated);
    } else {
      for (const { block, now } of changes) expect(now).toBe(block.body);
    }
  });
});
