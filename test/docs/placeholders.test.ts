import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const SKIPPED = new Set(['node_modules', 'dist', 'build', '.build', '.cache', '.git']);
const documents = readdirSync(root, { withFileTypes: true, encoding: 'utf8' }).flatMap((entry) => {
  if (SKIPPED.has(entry.name)) return [];
  const inside = entry.isDirectory() ? readdirSync(root + entry.name, { recursive: true, encoding: 'utf8' }) : [];
  return [entry.name, ...inside.map((name) => `${entry.name}/${name}`)].filter((path) => path.endsWith('.md'));
});

it.each(documents)('%s is finished: no gaps, and output under every mark', (path) => {
  const text = readFileSync(`${root}${path}`, 'utf8');
  expect(text.match(/@@\w*|\bTODO\b|\bTBD\b|\bFIXME\b/g) ?? []).toEqual([]);
  expect(text.match(/<!-- output of: .* -->\n(?!```\n[^`])/g) ?? []).toEqual([]);
});
