// A program: compiles Metal shaders for the software device, which calls it as Metal calls its own compiler, in a
// process apart.
//
//   node dist/ts/testbed/compile-service.js [--check | [--sanitize] [--only REGEXP] [--runtime]]  < source
//
// The source is one self-contained text; `#line` in it names the files that messages speak of. One line of JSON comes
// out: a {@link CompileReply}. With --check no code is made, but everything is checked, and the reply has the signature of
// all kernels. Exit code 0: compiled; 1: something is wrong in the source; 2: set-up (no clang).
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { TilewrightError } from '../errors.ts';
import { formatFinding } from './check.ts';
import { checkText, compileText } from './compile-text.ts';
import type { Finding, ModuleSignature } from './rewrite/signature.ts';
import { buildRuntime } from './toolchain.ts';

export type CompileReply =
  | {
      /** Shared object for the executor of Sources/Simt; absent with --check. */
      readonly module?: string;
      readonly signature: ModuleSignature;
      /** With --runtime: the folder of libsimt.so. */
      readonly runtime?: string;
    }
  | {
      readonly error: {
        readonly code: string;
        /** `file:line: rule: message` for every finding, as a compiler prints them. */
        readonly message: string;
        readonly findings: readonly Finding[];
      };
    };

async function reply(source: string, values: ReturnType<typeof options>): Promise<CompileReply> {
  if (values.check) {
    const { signature, findings } = await checkText(source);
    return findings.length > 0 || signature === undefined ? rejected(findings) : { signature };
  }
  const only = values.only === undefined ? {} : { only: new RegExp(values.only) };
  const module = await compileText(source, values.sanitize ? 'sanitize' : 'run', only);
  if (!('path' in module)) return rejected(module);
  const { path, signature } = module;
  return { module: path, signature, ...(values.runtime && { runtime: await buildRuntime() }) };
}

const rejected = (findings: readonly Finding[]): CompileReply => ({
  error: { code: 'ERR_KERNEL_COMPILE', message: findings.map(formatFinding).join('\n'), findings },
});

function options() {
  return parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      sanitize: { type: 'boolean', default: false },
      runtime: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  }).values;
}

try {
  const result = await reply(await text(process.stdin), options());
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = 'error' in result ? 1 : 0;
} catch (error) {
  const code = error instanceof TilewrightError ? error.code : 'ERR_USAGE';
  process.stdout.write(`${JSON.stringify({ error: { code, message: (error as Error).message, findings: [] } })}\n`);
  process.exitCode = 2;
}
