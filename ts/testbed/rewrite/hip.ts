import { TilewrightError } from '../../errors.ts';
import { integerValue } from './integer.ts';
import type { Rewritten } from './msl.ts';
import { type FunctionScope, Scan } from './scan.ts';
import type { Finding, KernelParameter, KernelSignature } from './signature.ts';
import { print, type Token, textOf, tokenize } from './tokens.ts';

export interface HipOptions {
  readonly only?: RegExp;
  readonly wave: 32 | 64;
  /** The GPU whose instructions are there, as `--offload-arch` names it. */
  readonly target: string;
}

/** Major version of the instruction set: 9 for gfx90a, 11 for gfx1100. */
export function gfxMajor(target: string): number {
  const version = /^gfx(\d{1,2})[0-9a-f]{2}$/.exec(target)?.[1];
  if (version === undefined)
    throw new TilewrightError('ERR_USAGE', `${target} is no target that is known: gfx90a, gfx1100 and so on.`);
  return Number(version);
}

/** Macros that clang defines for a target, and `__SIMT__` of the test bed. */
export function hipMacros(target: string, wave: 32 | 64): string[] {
  return [
    `__SIMT__=1`,
    `__AMDGCN__=1`,
    `__AMDGCN_WAVEFRONT_SIZE=${wave}`,
    `__${target}__=1`,
    `__GFX${gfxMajor(target)}__=1`,
  ];
}

/** LDS of a workgroup on every AMD GPU of today. */
const LDS_BYTES = 65536;

/** HIP source, preprocessed, to plain C++ with every kernel registered. Throws RewriteError rather than guess. */
export function rewriteHip(preprocessed: string, options: HipOptions): Rewritten {
  return new HipRewriter(preprocessed, options).run();
}

interface Definition {
  readonly fn: FunctionScope;
  readonly template: boolean;
  readonly parameters: readonly KernelParameter[];
  readonly dynamicShared: boolean;
  readonly maxThreads: number | undefined;
}

const QUALIFIERS = /^(__device__|__host__|__forceinline__|__noinline__|__global__)$/;

class HipRewriter {
  readonly #all: Token[];
  readonly #scan: Scan;
  readonly #options: HipOptions;
  readonly #findings: Finding[] = [];
  readonly #definitions = new Map<string, Definition>();
  readonly #kernels: KernelSignature[] = [];
  #variables = 0;

  constructor(preprocessed: string, options: HipOptions) {
    this.#all = tokenize(preprocessed);
    this.#scan = new Scan(this.#all);
    this.#options = options;
  }

  run(): Rewritten {
    for (const token of this.#all) {
      if (token.kind === 'directive' && /^#\s*pragma\b/.test(token.source)) token.text = '';
    }
    for (const fn of this.#scan.functions) {
      const dynamicShared = this.#sharedVariables(fn);
      this.#definition(fn, dynamicShared);
    }
    this.#collect();
    this.#words();
    const { wave, target } = this.#options;
    const code = `#define HIP_WAVE ${wave}\n#define HIP_GFX ${gfxMajor(target)}\n#define __${target}__ 1\n#include "hip/hip.h"\n${print(this.#all)}\n${this.#registration()}`;
    return {
      code,
      signature: { dialect: 'hip', kernels: this.#kernels, constants: [] },
      findings: this.#findings,
      scan: this.#scan,
    };
  }

  #definition(fn: FunctionScope, dynamicShared: boolean): void {
    const { tokens } = this.#scan;
    let global = false;
    let maxThreads: number | undefined;
    let open = -1;
    for (let i = fn.head; i < fn.open; i++) {
      const text = this.#scan.at(i);
      if (text === '__global__') global = true;
      if (text === '__launch_bounds__') {
        const close = this.#scan.match[i + 1]!;
        const comma = tokens.findIndex((t, k) => k > i && k < close && t.source === ',');
        maxThreads = integerValue(tokens.slice(i + 2, comma === -1 ? close : comma));
        for (let k = i; k <= close; k++) tokens[k]!.text = '';
        i = close;
      } else if (text === '(' && this.#scan.at(i - 1) === fn.name) {
        open = i;
        break;
      } else if (text === '(') i = this.#scan.match[i]!;
    }
    if (!global) return;
    if (open === -1) this.#scan.fail(fn.head, `kernel ${fn.name} has no parameter list`);
    const before = tokens.slice(fn.head, open - 1).filter((t) => !QUALIFIERS.test(t.source) && t.text !== '');
    if (before[before.length - 1]?.source !== 'void') {
      this.#findings.push({
        rule: 'kernel-return',
        message: `kernel ${fn.name} does not return void`,
        ...this.#scan.place(open),
      });
    }
    const key = [...fn.namespaces, fn.name].join('::');
    this.#definitions.set(key, {
      fn,
      template: this.#scan.at(fn.head) === 'template',
      parameters: this.#parameters(open, dynamicShared),
      dynamicShared,
      maxThreads,
    });
  }

  #parameters(open: number, dynamicShared: boolean): KernelParameter[] {
    const { tokens } = this.#scan;
    const close = this.#scan.match[open]!;
    const parameters: KernelParameter[] = [];
    let from = open + 1;
    for (let i = open + 1; i <= close; i++) {
      const text = this.#scan.at(i);
      if (i < close && /^[([{]$/.test(text)) i = this.#scan.match[i]!;
      else if (text === '<') i = this.#scan.angle(i) ?? i;
      else if ((text === ',' || i === close) && i > from) {
        const part = tokens.slice(from, i);
        const name = part[part.length - 1]!;
        if (name.kind !== 'id' || part.length < 2) this.#scan.fail(from, `parameter ${textOf(part)}`);
        const type = textOf(part.slice(0, -1));
        const pointer = part.some((t) => t.source === '*');
        const star = part.findIndex((t) => t.source === '*');
        parameters.push({
          name: name.source,
          type,
          kind: 'buffer',
          space: pointer ? 'device' : 'constant',
          index: parameters.length,
          readOnly: !pointer || part.slice(0, star).some((t) => t.source === 'const'),
          file: name.file,
          line: name.line,
        });
        from = i + 1;
      }
    }
    if (dynamicShared) {
      const place = this.#scan.place(open);
      parameters.push({
        name: 'dynamic shared memory',
        type: 'void*',
        kind: 'threadgroup',
        space: 'threadgroup',
        index: 0,
        ...place,
      });
    }
    return parameters;
  }

  /** `__shared__ T x[N];` and `extern __shared__ T x[];` become memory that the runtime hands out. */
  #sharedVariables(fn: FunctionScope): boolean {
    const { tokens } = this.#scan;
    let dynamic = false;
    for (let i = fn.open + 1; i < fn.close; i++) {
      if (this.#scan.at(i) !== '__shared__') continue;
      let from = i;
      while (!/^[;{}]$/.test(this.#scan.at(from - 1))) from--;
      let to = i;
      while (this.#scan.at(to) !== ';') to = /^[([{]$/.test(this.#scan.at(to)) ? this.#scan.match[to]! + 1 : to + 1;
      const isExtern = tokens.slice(from, i).some((t) => t.source === 'extern');
      const words = tokens.slice(from, to).filter((t) => !/^(extern|__shared__|static)$/.test(t.source));
      const bracket = words.findIndex((t) => t.source === '[');
      const nameAt = bracket === -1 ? words.length - 1 : bracket - 1;
      const name = words[nameAt];
      if (name?.kind !== 'id' || this.#severalOrInitialised(from, to)) {
        this.#scan.fail(i, 'a __shared__ declaration that is not understood: one variable each, no initialiser');
      }
      const type = textOf(words.slice(0, nameAt));
      const suffix = textOf(words.slice(nameAt + 1));
      for (let k = from; k <= to; k++) tokens[k]!.text = '';
      if (isExtern) {
        dynamic = true;
        tokens[from]!.text =
          `${type.replace(/alignas\([^)]*\)|__align__\([^)]*\)/g, '')}* ${name.source} = (decltype(${name.source}))simt_threadgroup_buffer(0);`;
      } else {
        const id = this.#variables++;
        tokens[from]!.text =
          `typedef ${type} simt_shared${id}_t${suffix}; simt_shared${id}_t& ${name.source} = ` +
          `*(simt_shared${id}_t*)simt_threadgroup_variable(${id}, sizeof(simt_shared${id}_t), alignof(simt_shared${id}_t));`;
      }
      i = to;
    }
    return dynamic;
  }

  /** A comma or an `=` outside of brackets and template arguments. */
  #severalOrInitialised(from: number, to: number): boolean {
    for (let i = from; i < to; i++) {
      const text = this.#scan.at(i);
      if (text === ',' || text === '=') return true;
      if (/^[([{]$/.test(text)) i = this.#scan.match[i]!;
      else if (text === '<') i = this.#scan.angle(i) ?? i;
    }
    return false;
  }

  #collect(): void {
    const { tokens } = this.#scan;
    for (let i = 0; i < tokens.length; i++) {
      if (this.#scan.at(i) !== 'template' || this.#scan.at(i + 1) === '<') continue;
      let to = i;
      while (to < tokens.length && this.#scan.at(to) !== ';') {
        to = /^[([{]$/.test(this.#scan.at(to)) ? this.#scan.match[to]! + 1 : to + 1;
      }
      const open = tokens.findIndex((t, k) => k > i && k < to && t.source === '(');
      if (open === -1 || !tokens.slice(i, to).some((t) => t.source === '__global__')) continue;
      let start = open - 1;
      for (let depth = 0; start > i; start--) {
        const text = this.#scan.at(start);
        if (text === '>') depth++;
        else if (text === '<' && --depth === 0) break;
      }
      const name = this.#scan.at(start - 1);
      const path = this.#scan.namespaceAt(i);
      const definition = this.#definitions.get([...path, name].join('::'));
      if (definition === undefined) this.#scan.fail(i, `${name} is no kernel template of this file`);
      this.#add(textOf(tokens.slice(start - 1, open)), definition, i);
      i = to;
    }
    for (const definition of this.#definitions.values()) {
      if (!definition.template) this.#add(definition.fn.name, definition, definition.fn.open);
    }
  }

  #add(expression: string, definition: Definition, at: number): void {
    if (this.#options.only !== undefined && !this.#options.only.test(expression)) return;
    this.#kernels.push({
      name: expression,
      expression: definition.fn.namespaces.map((n) => `${n}::`).join('') + expression,
      symbol: `simt_kernel_${this.#kernels.length}`,
      parameters: definition.parameters,
      ...(definition.maxThreads !== undefined && { maxThreads: definition.maxThreads }),
      ...this.#scan.place(at),
    });
  }

  #words(): void {
    for (const token of this.#scan.tokens) {
      if (token.text !== token.source || token.kind !== 'id') continue;
      if (token.source === '__constant__') token.text = '';
      else if (token.source === '__restrict__') token.text = '__restrict';
      else if (token.source === '__align__') token.text = 'alignas';
      else if (QUALIFIERS.test(token.source)) token.text = token.source === '__forceinline__' ? 'inline' : '';
    }
  }

  #registration(): string {
    const lines: string[] = [];
    for (const kernel of this.#kernels) {
      const indices = kernel.parameters.filter((p) => p.kind === 'buffer').map((p) => p.index);
      lines.push(`# ${kernel.line} ${JSON.stringify(kernel.file)}`);
      lines.push(
        `extern "C" void ${kernel.symbol}(void) { ::hip::call<${indices.join(', ')}>(${kernel.expression}); }`,
      );
    }
    const info = [
      `wave ${this.#options.wave}`,
      `limit ${LDS_BYTES}`,
      ...this.#kernels.map((k) => `kernel ${k.symbol} ${k.name}`),
    ].join('\n');
    lines.push(`extern "C" { __attribute__((used)) extern const char simt_module_info[] = ${JSON.stringify(info)}; }`);
    return `${lines.join('\n')}\n`;
  }
}
