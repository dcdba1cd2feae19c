import { TilewrightError } from '../errors.ts';
import type { Finding } from './rewrite/signature.ts';

/** A kernel that is wrong in itself cannot be called either: only worth saying when nothing else is. */
export const UNCALLABLE = 'kernel-signature';

/** Which rule a message of clang belongs to; the first match counts. */
const RULES: readonly (readonly [RegExp, string])[] = [
  [/no matching function for call to 'call'/, UNCALLABLE],
  [/threadgroup variables take more than/, 'threadgroup-memory'],
  [/builtin argument|this builtin|buffer argument|\[\[(buffer|threadgroup)\(n\)\]\]/, 'argument-type'],
  [/simdgroup_matrix/, 'simdgroup-matrix'],
  [/simd functions take/, 'simd-type'],
  [/as_type/, 'as-type'],
  [/program scope variable|static local variable/, 'program-scope'],
  [/address space|address-space/, 'address-space'],
  [/read-only|const-qualified|not assignable|cannot assign|no setter defined/, 'constant-write'],
  [/use of undeclared|unknown type name|no member named|no type named|no template named/, 'undeclared'],
  [/no matching (function|member function|constructor)|no viable|cannot convert|incompatible|ambiguous/, 'type'],
];

interface Message {
  file: string;
  line: number;
  column: number;
  kind: string;
  text: string;
}

/**
 * Errors of clang as findings. An error inside our headers is moved to the line of the user's that led there, which
 * follows it as a note.
 */
export function diagnostics(stderr: string, shim: string, otherwise: string): Finding[] {
  const messages: Message[] = [];
  for (const line of stderr.split('\n')) {
    const match = /^(.*?):(\d+):(\d+): (fatal error|error|warning|note): (.*)$/.exec(line);
    if (match !== null) {
      const [, file, row, column, kind, text] = match as unknown as [string, string, string, string, string, string];
      messages.push({ file, line: Number(row), column: Number(column), kind, text });
    }
  }
  const findings: Finding[] = [];
  messages.forEach((message, i) => {
    if (!/error$/.test(message.kind)) return;
    let place = message;
    for (let k = i + 1; place.file.startsWith(shim) && messages[k]?.kind === 'note'; k++) {
      if (!messages[k]!.file.startsWith(shim)) place = messages[k]!;
    }
    if (/too many errors emitted/.test(message.text)) return;
    const rule = otherwise === 'preprocess' ? otherwise : (ruleOf(message.text) ?? otherwise);
    const text = readable(message.text);
    const last = findings[findings.length - 1];
    if (last !== undefined && last.line === place.line && last.message === text) return;
    findings.push({ rule, message: text, file: place.file, line: place.line, column: place.column });
  });
  if (findings.length === 0) {
    // Not about the kernel: a flag that this build of clang does not know, a full disk.
    throw new TilewrightError('ERR_NATIVE_FAILURE', `clang failed: ${stderr.trim()}`);
  }
  return findings;
}

function ruleOf(text: string): string | undefined {
  // "cannot initialize a variable of type 'A' with an lvalue of type 'B'": of different address spaces?
  const [first, second] = [...text.matchAll(/of type '([^']*)'/g)].map(
    (m) => /__(global|local|constant|private)/.exec(m[1]!)?.[1],
  );
  if (first !== undefined && second !== undefined && first !== second) return 'address-space';
  return RULES.find(([pattern]) => pattern.test(text))?.[1];
}

/** Clang's names for the address spaces back to Metal's. */
export function readable(text: string): string {
  return text
    .replace(/'[^']*msl_tg\d+_t' \(aka ('[^']*')\)/g, '$1')
    .replace(/const __constant\b/g, 'constant')
    .replace(/\b__constant\b/g, 'constant')
    .replace(/\b__global\b/g, 'device')
    .replace(/\b__local\b/g, 'threadgroup')
    .replace(/\b__private\b/g, 'thread')
    .replace(/\b__generic\b/g, 'generic')
    .replace(/\b(\w+)_derived\b/g, '$1')
    .replace(/static assertion failed due to requirement '[^']*': /g, '')
    .replace(/static assertion failed: /g, '');
}
