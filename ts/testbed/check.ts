import { isAbsolute, relative } from 'node:path';
import { TilewrightError } from '../errors.ts';
import {
  type CompiledModule,
  type CompileMode,
  type CompileOptions,
  compile,
  preprocess,
  rewrite,
  typeCheck,
} from './compile.ts';
import { UNCALLABLE } from './diagnostics.ts';
import { lint } from './lint/lint.ts';
import type { Finding, ModuleSignature } from './rewrite/signature.ts';

export interface CheckResult {
  readonly findings: readonly Finding[];
  /** Undefined when the file could not be read that far. */
  readonly signature?: ModuleSignature;
}

/** Lint and type-check a kernel file; nothing of it runs. */
export async function checkKernels(path: string, options: CompileOptions = {}): Promise<CheckResult> {
  const source = await preprocess(path, options);
  if (!('text' in source)) return { findings: source };
  const rewritten = rewrite(source, { ...options, check: true });
  if ('rule' in rewritten) return { findings: [rewritten] };
  const own = source.dialect === 'msl' ? lint(rewritten) : [];
  const findings = [...rewritten.findings, ...own, ...(await typeCheck(source, rewritten))];
  if (rewritten.signature.kernels.length === 0 && findings.length === 0) {
    findings.push({
      rule: 'no-kernel',
      message: 'the file defines no kernel that could be launched',
      file: path,
      line: 1,
    });
  }
  const telling = findings.filter(({ rule }) => rule !== UNCALLABLE);
  return { findings: sorted(telling.length > 0 ? telling : findings), signature: rewritten.signature };
}

/**
 * A kernel file as a module that runs here.
 * @throws ERR_KERNEL_COMPILE with the first finding in the message, and all of them in `details.findings`.
 */
export async function compileKernels(
  path: string,
  mode: CompileMode,
  options: CompileOptions = {},
): Promise<CompiledModule> {
  const source = await preprocess(path, options);
  if (!('text' in source)) throw compileError(path, source);
  const module = await compile(source, mode, options);
  if (!('path' in module)) throw compileError(path, module);
  return module;
}

/** Findings of a compilation as the error that every device reports. */
export function compileError(path: string, findings: readonly Finding[]): TilewrightError {
  const [first, ...others] = sorted(findings);
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const message = first === undefined ? 'the compiler fails without a word' : formatFinding(first);
  return new TilewrightError('ERR_KERNEL_COMPILE', `${path} does not compile: ${message}${more}`, {
    details: { file: path, findings },
  });
}

/** In the order of the source, and each once. */
export function sorted<F extends Finding>(findings: readonly F[]): F[] {
  const seen = new Set<string>();
  return [...findings]
    .sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line || (a.column ?? 0) - (b.column ?? 0))
    .filter(({ file, line, rule, message }) => {
      const key = JSON.stringify([file, line, rule, message]);
      return !seen.has(key) && seen.add(key);
    });
}

/** A file as seen from the working directory. */
export function shownPath(file: string): string {
  if (!isAbsolute(file)) return file;
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}

/** `file:line: rule: message` */
export function formatFinding(finding: Finding): string {
  const { file, line, rule, message, kernel } = finding;
  return `${shownPath(file)}:${line}: ${rule}: ${message}${kernel === undefined ? '' : ` [${kernel}]`}`;
}
