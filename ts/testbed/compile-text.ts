import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckResult, checkKernels } from './check.ts';
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
  const read = await preprocess(await keep(source), { dialect: 'msl' });
  return 'text' in read ? await compile(read, mode, options) : read;
}

/** Check such a text, all templates included, without making code of it. */
export async function checkText(source: string): Promise<CheckResult> {
  return await checkKernels(await keep(source), { dialect: 'msl' });
}

/** In the cache, as the module's debug information names the file; named by its content, so that it is found again. */
async function keep(source: string): Promise<string> {
  const folder = await cached(`source-${hash(source)}`, (target) => writeFile(join(target, 'source.metal'), source));
  return join(folder, 'source.metal');
}
