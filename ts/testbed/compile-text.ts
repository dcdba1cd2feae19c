import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CompiledModule, type CompileMode, compile, preprocess } from './compile.ts';
import type { Finding } from './rewrite/signature.ts';
import { cached, hash } from './toolchain.ts';

/**
 * Compile Metal source that is a text and not a file: self-contained, `#line` in it names the files that messages speak
 * of. Findings when it does not compile.
 */
export async function compileText(
  source: string,
  mode: CompileMode,
  options: { readonly only?: RegExp } = {},
): Promise<CompiledModule | readonly Finding[]> {
  // In the cache, as the module's debug information names the file; named by its content, so that it is found again.
  const folder = await cached(`source-${hash(source)}`, (target) => writeFile(join(target, 'source.metal'), source));
  const read = await preprocess(join(folder, 'source.metal'), { dialect: 'msl' });
  return 'text' in read ? await compile(read, mode, options) : read;
}
