import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TilewrightError } from '../../errors.ts';
import { packageRoot } from '../native.ts';

/** Folders of the package in which shaders include from, by their paths in it. */
const INCLUDE_FOLDERS = ['metal', 'Sources/KernelABI/include'];

const sources = new Map<string, string>();

/**
 * A file of `metal/` with everything that it includes from the package, as one text: the form in which a device compiles
 * it at run time. `#line` keeps the compiler's messages in terms of the files. Read once.
 */
export function librarySource(file: string): string {
  let source = sources.get(file);
  if (source === undefined) {
    source = inline(fileURLToPath(packageRoot), `metal/${file}`);
    sources.set(file, source);
  }
  return source;
}

/** As {@link librarySource}, for a source that users bring: it may include the package's headers. */
export function inlineSource(name: string, text: string): string {
  return inlineText(fileURLToPath(packageRoot), name, text, new Set());
}

function inline(root: string, path: string, seen = new Set<string>()): string {
  let text: string;
  try {
    text = readFileSync(join(root, path), 'utf8');
  } catch (cause) {
    throw new TilewrightError('ERR_FILE', `${path} is missing from the installed package: install it again.`, {
      details: { path },
      cause,
    });
  }
  return inlineText(root, path, text, seen);
}

function inlineText(root: string, path: string, text: string, seen: Set<string>): string {
  const parts = [`#line 1 "${path}"`];
  text.split('\n').forEach((line, i) => {
    // The files are inlined once each, which is what the pragma asks for; in a main file compilers warn about it.
    if (/^\s*#\s*pragma\s+once\b/.test(line)) {
      parts.push('');
      return;
    }
    const found = findInclude(root, path, line);
    if (found === null) {
      parts.push(line);
      return;
    }
    if (seen.has(found)) {
      parts.push('');
      return;
    }
    seen.add(found);
    parts.push(inline(root, found, seen), `#line ${i + 2} "${path}"`);
  });
  return parts.join('\n');
}

/** The package's file that a line includes; null for other lines and for headers of Metal itself. */
function findInclude(root: string, from: string, line: string): string | null {
  const match = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(line);
  if (match === null) return null;
  const [, kind, name] = match as unknown as [string, string, string];
  const folders = kind === '"' ? [posix.dirname(from), ...INCLUDE_FOLDERS] : INCLUDE_FOLDERS;
  for (const folder of folders) {
    const path = posix.normalize(posix.join(folder, name));
    if (!path.startsWith('..') && existsSync(join(root, path))) return path;
  }
  return null;
}
