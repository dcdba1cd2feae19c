import { integerValue } from './integer.ts';
import { type Attribute, type FunctionScope, Scan } from './scan.ts';
import {
  type AddressSpace,
  BUILTINS,
  constantBytes,
  type Finding,
  type FunctionConstant,
  type KernelParameter,
  type KernelSignature,
  type ModuleSignature,
} from './signature.ts';
import { type Place, print, type Token, textOf, tokenize } from './tokens.ts';

export interface RewriteOptions {
  /** Only kernels whose name matches are made callable (all are type-checked in any case). */
  readonly only?: RegExp;
  /** For the type check: function constants are `constant`, as in Metal, and cannot be set. */
  readonly check: boolean;
}

export interface Rewritten {
  readonly code: string;
  readonly signature: ModuleSignature;
  /** What the rewriter itself found wrong. */
  readonly findings: readonly Finding[];
  readonly scan: Scan;
}

/** Metal's limit on threadgroup memory: Metal feature set tables, "maximum threadgroup memory allocation". */
export const MAX_THREADGROUP_BYTES = 32768;
/** Buffer arguments are 0 to 30: Metal feature set tables, "maximum number of entries in the buffer argument table". */
export const MAX_BUFFER_INDEX = 30;

const SPACES: Readonly<Record<string, string>> = {
  device: 'MSL_DEVICE',
  threadgroup: 'MSL_THREADGROUP',
  constant: 'MSL_CONSTANT',
  thread: 'MSL_THREAD',
};
const METHOD_SPACES: Readonly<Record<string, string>> = {
  device: '__global',
  threadgroup: '__local',
  constant: '__constant',
  thread: '',
};
/** Identifiers of Metal programs that are keywords of OpenCL. */
const OPENCL_KEYWORDS = new Set([
  ...['local', 'global', 'private', 'generic', 'pipe', 'vec_step', 'read_only', 'write_only', 'read_write'],
  ...['event_t', 'queue_t', 'sampler_t', 'reserve_id_t', 'clk_event_t', 'ndrange_t'],
]);
const isAccessSpecifier = (scan: Scan, i: number): boolean => scan.at(i) === 'private' && scan.at(i + 1) === ':';

/** Metal source, preprocessed, to C++ for OpenCL with every kernel registered. Throws RewriteError rather than guess. */
export function rewriteMsl(preprocessed: string, options: RewriteOptions): Rewritten {
  return new MslRewriter(preprocessed, options).run();
}

interface Definition {
  readonly fn: FunctionScope;
  readonly template: boolean;
  readonly parameters: readonly KernelParameter[];
  readonly maxThreads: number | undefined;
  readonly hostName: string | undefined;
  used: boolean;
}

interface Callable {
  readonly name: string;
  readonly expression: string;
  readonly place: Place;
  readonly definition: Definition;
}

class MslRewriter {
  readonly #all: Token[];
  readonly #scan: Scan;
  readonly #options: RewriteOptions;
  readonly #findings: Finding[] = [];
  readonly #constants: FunctionConstant[] = [];
  readonly #definitions = new Map<string, Definition>();
  readonly #callables: Callable[] = [];
  #variables = 0;

  constructor(preprocessed: string, options: RewriteOptions) {
    this.#all = tokenize(preprocessed);
    this.#scan = new Scan(this.#all);
    this.#options = options;
  }

  run(): Rewritten {
    this.#directives();
    this.#functionConstants();
    for (const fn of this.#scan.functions) this.#function(fn);
    this.#instantiations();
    this.#functionPointerParameters();
    this.#words();
    const kernels = this.#kernels();
    const code = `#include "msl/metal.h"\n${print(this.#all)}\n${this.#registration(kernels)}`;
    return {
      code,
      signature: { dialect: 'msl', kernels, constants: this.#constants },
      findings: this.#findings,
      scan: this.#scan,
    };
  }

  #report(rule: string, index: number, message: string): void {
    this.#findings.push({ rule, message, ...this.#scan.place(index) });
  }

  /** Loop hints mean nothing here and clang warns of some; every other pragma goes too. */
  #directives(): void {
    for (const token of this.#all) {
      if (token.kind === 'directive' && /^#\s*pragma\b/.test(token.source)) token.text = '';
    }
  }

  #attribute(token: Token | undefined): Attribute | undefined {
    return token === undefined ? undefined : this.#scan.attributes.get(token);
  }

  /** Statement around a top-level token: from after the last `;`, `{` or `}` to its `;`. */
  #statement(index: number): { from: number; to: number } {
    let from = index;
    while (from > 0 && !/^[;{}]$/.test(this.#scan.at(from - 1))) from--;
    let to = index;
    while (to < this.#scan.tokens.length && this.#scan.at(to) !== ';') {
      if (/^[([{]$/.test(this.#scan.at(to))) to = this.#scan.match[to]!;
      to++;
    }
    return { from, to };
  }

  #functionConstants(): void {
    const { tokens } = this.#scan;
    const names = new Set<string>();
    tokens.forEach((token, i) => {
      const entry = this.#attribute(token)?.entries.find((e) => e.name === 'function_constant');
      if (entry === undefined || this.#functionAround(i) !== undefined || this.#insideParentheses(i)) return;
      const { from, to } = this.#statement(i);
      const id = integerValue(entry.args ?? []);
      if (id === undefined || id < 0 || id > 65535) {
        this.#scan.fail(i, `function_constant(${textOf(entry.args ?? [])}) is not an index from 0 to 65535`);
      }
      const head = tokens.slice(from, i).filter((t) => t.kind !== 'attribute');
      const name = head.pop()!;
      const space = head.find((t) => t.source === 'constant');
      if (space === undefined) {
        this.#report('function-constant-space', i, `function constant ${name.source} is not in the constant space`);
      }
      if (i + 1 !== to) this.#scan.fail(i, 'a function constant has no initialiser');
      const type = textOf(head.filter((t) => !/^(constant|const|static|constexpr)$/.test(t.source)));
      const bytes = constantBytes(type);
      if (bytes === undefined) this.#scan.fail(i, `a function constant cannot have the type ${type}`);
      if (this.#constants.some((c) => c.id === id)) {
        this.#report('function-constant-duplicate', i, `function_constant(${id}) is declared twice`);
      }
      this.#constants.push({ name: name.source, id, type, bytes, file: name.file, line: name.line });
      names.add(name.source);
      for (const t of head) if (/^(constant|const|static|constexpr)$/.test(t.source)) t.text = '';
      tokens[from]!.before = this.#options.check ? 'extern const __constant ' : '';
      name.after = this.#options.check
        ? `; extern const __constant bool ${name.source}_is_defined`
        : ` __asm__("msl_fc_${id}"); bool ${name.source}_is_defined __asm__("msl_fcd_${id}")`;
    });
    if (names.size === 0) return;
    this.#derivedConstants(names);
    tokens.forEach((token, i) => {
      if (token.source !== 'is_function_constant_defined' || this.#scan.at(i + 1) !== '(') return;
      const name = this.#scan.at(i + 2);
      if (!names.has(name)) this.#scan.fail(i, `${name} is not a function constant`);
      token.text = '';
      tokens[i + 2]!.text = `${name}_is_defined`;
    });
  }

  /** `constant T x = <uses a function constant>;` is computed when the pipeline is made: here, at each use. */
  #derivedConstants(names: Set<string>): void {
    const { tokens } = this.#scan;
    const derived = new Map<string, string>();
    for (let i = 0; i < tokens.length; i++) {
      const text = this.#scan.at(i);
      if (text === '{' && this.#functionAround(i + 1) !== undefined) {
        i = this.#scan.match[i]!;
        continue;
      }
      if (text === '=' && this.#functionAround(i) === undefined) {
        const { from, to } = this.#statement(i);
        const head = tokens.slice(from, i);
        const value = tokens.slice(i + 1, to);
        if (!head.some((t) => t.source === 'constant') || head.some((t) => t.source === 'template')) continue;
        if (!value.some((t) => names.has(t.source) || derived.has(t.source))) continue;
        const name = head[head.length - 1]!;
        for (const t of head) if (/^(constant|const|static|constexpr)$/.test(t.source)) t.text = '';
        name.text = `${name.source}_derived`;
        tokens[from]!.before = 'static inline ';
        tokens[i]!.text = '() { return';
        tokens[to]!.after = ' }';
        derived.set(name.source, name.text);
        i = to;
      }
    }
    tokens.forEach((token, i) => {
      const replacement = derived.get(token.source);
      if (replacement === undefined || token.text !== token.source) return;
      if (/^(\.|->|::)$/.test(this.#scan.at(i - 1))) return;
      token.text = `${replacement}()`;
    });
  }

  #functionAround(index: number): FunctionScope | undefined {
    return this.#scan.functions.find((fn) => fn.open < index && index < fn.close);
  }

  #insideParentheses(index: number): boolean {
    for (let i = index - 1; i >= 0; i--) {
      const text = this.#scan.at(i);
      if (text === ')' || text === ']') i = this.#scan.match[i]!;
      else if (text === '(') return true;
      else if (/^[;{}]$/.test(text)) return false;
    }
    return false;
  }

  #function(fn: FunctionScope): void {
    const kernel = this.#kernelDefinition(fn);
    this.#threadgroupVariables(fn, kernel !== undefined);
    this.#ternaries(fn);
  }

  #kernelDefinition(fn: FunctionScope): Definition | undefined {
    const { tokens } = this.#scan;
    let marked = -1;
    let maxThreads: number | undefined;
    let hostName: string | undefined;
    for (let i = fn.head; i < fn.open; i++) {
      if (this.#scan.at(i) === '(') {
        i = this.#scan.match[i]!;
        continue;
      }
      if (this.#scan.at(i) === 'kernel') marked = i;
      for (const entry of this.#attribute(tokens[i])?.entries ?? []) {
        if (entry.name === 'kernel') marked = i;
        else if (entry.name === 'max_total_threads_per_threadgroup') maxThreads = Number(textOf(entry.args ?? []));
        else if (entry.name === 'host_name') hostName = stringValue(entry.args ?? []);
      }
    }
    if (marked === -1) return undefined;
    if (tokens[marked]!.source === 'kernel') tokens[marked]!.text = '';
    let open = fn.head;
    while (!(this.#scan.at(open) === '(' && this.#scan.at(open - 1) === fn.name)) open++;
    const result = tokens
      .slice(marked + 1, open - 1)
      .filter((t) => t.kind !== 'attribute' && !/^(inline|static)$/.test(t.source));
    if (textOf(result) !== 'void') this.#report('kernel-return', open - 1, `kernel ${fn.name} does not return void`);
    const definition: Definition = {
      fn,
      template: this.#scan.at(fn.head) === 'template',
      parameters: this.#parameters(open, fn.name),
      maxThreads,
      hostName,
      used: false,
    };
    const key = [...fn.namespaces, fn.name].join('::');
    if (this.#definitions.has(key)) {
      this.#report('kernel-overload', open - 1, `kernel ${fn.name} is defined twice: kernels cannot be overloaded`);
    }
    this.#definitions.set(key, definition);
    return definition;
  }

  #parameters(open: number, kernel: string): KernelParameter[] {
    const { tokens } = this.#scan;
    const close = this.#scan.match[open]!;
    const parameters: KernelParameter[] = [];
    let from = open + 1;
    for (let i = open + 1; i <= close; i++) {
      const text = this.#scan.at(i);
      if (i !== close && (text === '(' || text === '[' || text === '{')) i = this.#scan.match[i]!;
      else if (text === '<') i = this.#scan.angle(i) ?? i;
      else if (text === ',' || i === close) {
        if (i > from) parameters.push(this.#parameter(from, i, kernel, parameters));
        from = i + 1;
      }
    }
    tokens[close]!.text = ')';
    return parameters;
  }

  #parameter(from: number, to: number, kernel: string, earlier: readonly KernelParameter[]): KernelParameter {
    const { tokens } = this.#scan;
    const plain = tokens.slice(from, to).filter((t) => t.kind !== 'attribute');
    const entries = tokens.slice(from, to).flatMap((t) => this.#attribute(t)?.entries ?? []);
    // `constant int strides[3]` is a pointer.
    const array = plain.findIndex((t, i) => t.source === '[' && plain[i - 1]?.kind === 'id');
    const name = plain[array === -1 ? plain.length - 1 : array - 1]!;
    if (name.kind !== 'id' || plain.length < 2) this.#scan.fail(from, `parameter ${textOf(plain)} of kernel ${kernel}`);
    const typeTokens = plain.slice(0, plain.indexOf(name));
    const words = topLevelWords(typeTokens);
    const pointer = array !== -1 || typeTokens.some((t) => t.source === '*' || t.source === '&');
    const space = words.find((w): w is AddressSpace => w === 'device' || w === 'constant' || w === 'threadgroup');
    const base = { name: name.source, type: textOf(typeTokens), file: name.file, line: name.line };
    const condition = entries.find((e) => e.name === 'function_constant');
    const optional = condition === undefined ? {} : { condition: textOf(condition.args ?? []) };
    const index = (entry: Attribute['entries'][number]): number => {
      return integerValue(entry.args ?? []) ?? this.#scan.fail(from, `[[${entry.name}]] needs a literal index`);
    };
    const readOnly = space === 'constant' || words.includes('const');
    for (const entry of entries) {
      if (entry.name === 'buffer') {
        return { ...base, ...optional, kind: 'buffer', ...(space && { space }), index: index(entry), readOnly };
      }
      if (entry.name === 'threadgroup') {
        return { ...base, kind: 'threadgroup', ...(space && { space }), index: index(entry) };
      }
      if (entry.name in BUILTINS) return { ...base, kind: 'builtin', builtin: entry.name };
      if (entry.name === 'function_constant' || entry.name === 'maybe_unused') continue;
      this.#report(
        'attribute-unknown',
        from,
        `[[${entry.name}]] is no attribute of a kernel argument that is known here`,
      );
      return { ...base, kind: 'value' };
    }
    if (pointer && (space === 'device' || space === 'constant')) {
      // Metal gives buffers without an attribute the next free index.
      const taken = new Set(earlier.filter((p) => p.kind === 'buffer').map((p) => p.index));
      let next = 0;
      while (taken.has(next)) next++;
      return { ...base, kind: 'buffer', space, index: next, readOnly };
    }
    if (pointer && space === 'threadgroup') {
      this.#report('attribute-missing', from, `threadgroup argument ${name.source} needs [[threadgroup(n)]]`);
      return { ...base, kind: 'threadgroup', space, index: 0 };
    }
    if (pointer) {
      this.#report(
        'kernel-pointer-space',
        from,
        `argument ${name.source} of kernel ${kernel} points to thread memory: it must be device, constant or threadgroup`,
      );
    } else {
      this.#report('attribute-missing', from, `argument ${name.source} of kernel ${kernel} has no attribute`);
    }
    return { ...base, kind: 'value' };
  }

  /** `threadgroup T x[N], y;` becomes references to memory that the runtime hands out. */
  #threadgroupVariables(fn: FunctionScope, kernel: boolean): void {
    const { tokens } = this.#scan;
    const scopes: string[][] = [[]];
    for (let i = fn.open + 1; i < fn.close; i++) {
      const text = this.#scan.at(i);
      if (text === '{') scopes.push([]);
      else if (text === '}') scopes.pop();
      if (text !== 'threadgroup' || tokens[i]!.kind !== 'id') continue;
      let from = i;
      while (/^(const|constexpr|static|volatile)$/.test(this.#scan.at(from - 1))) from--;
      if (this.#scan.at(from - 1) === ')' && this.#scan.at(this.#scan.match[from - 1]! - 1) === 'alignas') {
        from = this.#scan.match[from - 1]! - 1;
      }
      if (!/^[;{}:]$/.test(this.#scan.at(from - 1)) && tokens[from - 1]?.kind !== 'attribute') continue;
      const end = this.#declarationEnd(i);
      if (end === undefined) continue;
      const { typeEnd, semicolon } = end;
      if (!kernel) {
        this.#report('threadgroup-outside-kernel', i, `threadgroup variable outside a kernel, in ${fn.name}`);
        continue;
      }
      const type = `${from < i ? `${textOf(tokens.slice(from, i))} ` : ''}${rename(tokens.slice(i + 1, typeEnd))}`;
      const out: string[] = [];
      const visible = scopes[scopes.length - 1]!;
      for (let k = typeEnd; k < semicolon; ) {
        let stop = k;
        while (stop < semicolon && this.#scan.at(stop) !== ',') {
          stop = /^[([{]$/.test(this.#scan.at(stop)) ? this.#scan.match[stop]! + 1 : stop + 1;
        }
        const name = this.#scan.at(k);
        let initialiser = false;
        for (let t = k; t < stop; t++) {
          if (this.#scan.at(t) === '[') t = this.#scan.match[t]!;
          else initialiser ||= /^[={(]$/.test(this.#scan.at(t));
        }
        if (tokens[k]!.kind !== 'id') this.#scan.fail(k, `threadgroup declaration that is not understood`);
        if (initialiser) {
          this.#report('threadgroup-initialiser', k, `threadgroup variable ${name} has an initialiser`);
        }
        const suffix = initialiser ? '' : rename(tokens.slice(k + 1, stop));
        const id = this.#variables++;
        const typedef = `msl_tg${id}_t`;
        visible.push(typedef);
        const total = scopes
          .flat()
          .map((t) => `sizeof(${t})`)
          .join(' + ');
        out.push(
          `typedef ${type} ${typedef}${suffix}; ` +
            `static_assert(${total} <= ${MAX_THREADGROUP_BYTES}, "threadgroup variables take more than ${MAX_THREADGROUP_BYTES} bytes"); ` +
            `MSL_THREADGROUP ${typedef}& ${renamed(name)} = *(MSL_THREADGROUP ${typedef}*)` +
            `simt_threadgroup_variable(${id}, sizeof(${typedef}), alignof(${typedef}));`,
        );
        k = stop + 1;
      }
      for (let k = from; k <= semicolon; k++) tokens[k]!.text = '';
      tokens[i]!.text = out.join(' ');
      i = semicolon;
    }
  }

  /** Where the type ends and the declaration's `;`, if the statement at a `threadgroup` declares variables. */
  #declarationEnd(at: number): { typeEnd: number; semicolon: number } | undefined {
    let i = at + 1;
    while (/^(const|volatile|struct|unsigned|signed)$/.test(this.#scan.at(i))) i++;
    if (this.#scan.at(i - 1) === 'unsigned' && this.#scan.tokens[i + 1]?.kind !== 'id') {
      // `threadgroup unsigned x`: the type is complete.
    } else {
      for (;;) {
        if (this.#scan.at(i) === 'typename' || this.#scan.at(i) === '::') i++;
        if (this.#scan.tokens[i]?.kind !== 'id') return undefined;
        i++;
        if (this.#scan.at(i) === '<') {
          const close = this.#scan.angle(i);
          if (close === undefined) return undefined;
          i = close + 1;
        }
        if (this.#scan.at(i) !== '::') break;
      }
    }
    while (/^(const|volatile)$/.test(this.#scan.at(i))) i++;
    if (this.#scan.tokens[i]?.kind !== 'id') return undefined; // a pointer or a reference
    const typeEnd = i;
    let semicolon = i;
    while (this.#scan.at(semicolon) !== ';') {
      if (semicolon >= this.#scan.tokens.length) return undefined;
      semicolon = /^[([{]$/.test(this.#scan.at(semicolon)) ? this.#scan.match[semicolon]! + 1 : semicolon + 1;
    }
    return { typeEnd, semicolon };
  }

  /** Both branches of `?:` become values: classes in different address spaces do not unify in C++ for OpenCL. */
  #ternaries(fn: FunctionScope): void {
    const { tokens } = this.#scan;
    const wrap = (from: number, to: number): void => {
      const branch = tokens.slice(from, to);
      if (branch.length === 0) return;
      // A literal may be a null pointer constant, and a braced list or a string is no value.
      if (branch.every((t) => t.kind !== 'id' || t.source === 'nullptr') || branch[0]!.source === '{') return;
      tokens[from]!.before = `::msl::rv(${tokens[from]!.before}`;
      tokens[to - 1]!.after += ')';
    };
    for (let i = fn.open + 1; i < fn.close; i++) {
      // In the size of a threadgroup array it is a constant, and is written elsewhere.
      if (this.#scan.at(i) !== '?' || tokens[i]!.text === '') continue;
      let colon = i + 1;
      for (let nested = 0; ; colon++) {
        const text = this.#scan.at(colon);
        if (/^[([{]$/.test(text)) colon = this.#scan.match[colon]!;
        else if (text === '?') nested++;
        else if (text === ':' && nested-- === 0) break;
        else if (text === ';' || text === '' || /^[)\]}]$/.test(text)) this.#scan.fail(i, 'this ? has no :');
      }
      let end = colon + 1;
      for (let nested = 0; end < fn.close; end++) {
        const text = this.#scan.at(end);
        if (/^[([{]$/.test(text)) end = this.#scan.match[end]!;
        else if (text === '<' && tokens[end - 1]?.kind === 'id') {
          const close = this.#scan.angle(end);
          if (close !== undefined && /^(\(|::|\{)$/.test(this.#scan.at(close + 1))) end = close;
        } else if (text === '?') nested++;
        else if (text === ':' && nested-- === 0) break;
        else if (text === ';' || text === ',' || /^[)\]}]$/.test(text)) break;
        // No comparison is followed by one of these: a list of template arguments ends here.
        else if (text === '>' && /^(;|\)|>|,|::|\{)$/.test(this.#scan.at(end + 1))) break;
      }
      if (this.#scan.at(end) === '>') continue; // constants
      wrap(i + 1, colon);
      wrap(colon + 1, end);
    }
  }

  #instantiations(): void {
    const { tokens } = this.#scan;
    for (let i = 0; i < tokens.length; i++) {
      if (this.#scan.at(i) !== 'template' || this.#scan.at(i + 1) === '<') continue;
      if (this.#functionAround(i) !== undefined) continue;
      const { to } = this.#statement(i);
      const entries = tokens.slice(i, to).flatMap((t) => this.#attribute(t)?.entries ?? []);
      const marked = entries.some((e) => e.name === 'kernel') || tokens.slice(i, to).some((t) => t.source === 'kernel');
      const host = entries.find((e) => e.name === 'host_name');
      if (!marked) {
        if (host !== undefined) this.#scan.fail(i, 'host_name on an instantiation that is no kernel');
        continue;
      }
      const plain: number[] = [];
      for (let k = i + 1; k < to; k++)
        if (tokens[k]!.kind !== 'attribute' && this.#scan.at(k) !== 'kernel') plain.push(k);
      let last = plain.length - 1;
      let parameters: { open: number; close: number } | undefined;
      if (this.#scan.at(plain[last]!) === ')') {
        const close = plain[last]!;
        const open = this.#scan.match[close]!;
        parameters = { open, close };
        while (plain[last]! >= open) last--;
      }
      if (this.#scan.at(plain[last]!) !== '>')
        this.#scan.fail(i, 'this kernel instantiation has no template arguments');
      let first = last;
      for (let depth = 0; first >= 0; first--) {
        const text = this.#scan.at(plain[first]!);
        if (text === '>') depth++;
        else if (text === '<' && --depth === 0) break;
      }
      first--;
      let name = this.#scan.at(plain[first]!);
      while (this.#scan.at(plain[first - 1]!) === '::') {
        name = `${this.#scan.at(plain[first - 2]!)}::${name}`;
        first -= 2;
      }
      const expressionTokens = plain.slice(first, last + 1).map((k) => tokens[k]!);
      const path = this.#scan.namespaceAt(i);
      const definition = this.#definition(name, path);
      if (definition === undefined) {
        this.#report('instantiation-unknown', i, `${name} is not a kernel template of this file`);
      } else if (parameters !== undefined) {
        const count = parameterTypes(this.#scan, parameters.open + 1, parameters.close).length;
        if (count !== definition.parameters.length) {
          this.#report(
            'instantiation-signature',
            i,
            `the instantiation of ${name} has ${count} parameters, the template ${definition.parameters.length}`,
          );
        }
      }
      const expression = rename(expressionTokens);
      for (let k = i; k <= to; k++) tokens[k]!.text = '';
      if (this.#options.check && parameters !== undefined && definition !== undefined) {
        // The real explicit instantiation: the compiler compares the parameter types.
        for (const k of plain) tokens[k]!.text = tokens[k]!.source;
        tokens[i]!.text = 'template';
        tokens[to]!.text = ';';
      }
      if (definition !== undefined) {
        definition.used = true;
        const prefix = name.includes('::') ? '' : definition.fn.namespaces.map((n) => `${n}::`).join('');
        this.#callables.push({
          name: host === undefined ? expression : stringValue(host.args ?? []),
          expression: prefix + expression,
          place: this.#scan.place(i),
          definition,
        });
      }
      i = to;
    }
    for (const definition of this.#definitions.values()) {
      if (definition.template) continue;
      const path = [...definition.fn.namespaces, definition.fn.name].join('::');
      const open = definition.fn.open;
      this.#callables.push({
        name: definition.hostName ?? definition.fn.name,
        expression: path,
        place: this.#headPlace(definition.fn) ?? this.#scan.place(open),
        definition,
      });
    }
  }

  #headPlace(fn: FunctionScope): Place | undefined {
    for (let i = fn.head; i < fn.open; i++) if (this.#scan.at(i) === fn.name) return this.#scan.place(i);
    return undefined;
  }

  #definition(name: string, path: readonly string[]): Definition | undefined {
    for (let depth = path.length; depth >= 0; depth--) {
      const found = this.#definitions.get([...path.slice(0, depth), name].join('::'));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Template parameters `R (*f)(P...)`: clang would give the pointee a generic address space, and nothing matches. */
  #functionPointerParameters(): void {
    const { tokens } = this.#scan;
    for (let i = 0; i < tokens.length; i++) {
      if (this.#scan.at(i) !== 'template' || this.#scan.at(i + 1) !== '<') continue;
      const end = this.#scan.angle(i + 1);
      if (end === undefined) this.#scan.fail(i, 'a template parameter list that is not understood');
      let depth = 0;
      let from = i + 2;
      for (let k = i + 1; k < end; k++) {
        const text = this.#scan.at(k);
        if (text === '<' && tokens[k - 1]!.kind === 'id') depth++;
        else if (text === '>') depth--;
        else if (text === ',' && depth === 1) from = k + 1;
        else if (text === '(' && this.#scan.at(k + 1) === '*') {
          const nameClose = this.#scan.match[k]!;
          const paramsClose = this.#scan.match[nameClose + 1]!;
          if (this.#scan.at(nameClose + 1) !== '(') this.#scan.fail(k, 'a template parameter that is not understood');
          const name = this.#scan.at(k + 2);
          const result = rename(tokens.slice(from, k));
          const params = parameterTypes(this.#scan, nameClose + 2, paramsClose).map(rename);
          for (let t = from; t <= paramsClose; t++) tokens[t]!.text = '';
          tokens[from]!.text = `decltype(&::msl::prototype<${[result, ...params].join(', ')}>) ${name}`;
          k = paramsClose;
        } else if (text === '(') k = this.#scan.match[k]!;
      }
    }
  }

  /** Address spaces, OpenCL's keywords, literals. */
  #words(): void {
    const { tokens } = this.#scan;
    tokens.forEach((token, i) => {
      if (token.text !== token.source) return;
      if (token.kind === 'number') token.text = literal(token.source);
      if (token.kind !== 'id') return;
      if (token.source in SPACES) {
        const before = this.#scan.at(i - 1);
        const method =
          (before === ')' || (before === 'const' && this.#scan.at(i - 2) === ')')) &&
          /^(\{|;|:|const|volatile|->)$/.test(this.#scan.at(i + 1));
        token.text = method ? METHOD_SPACES[token.source]! : SPACES[token.source]!;
      } else if (OPENCL_KEYWORDS.has(token.source) && !isAccessSpecifier(this.#scan, i)) {
        token.text = `msl_${token.source}`;
      } else if (token.source === 'kernel') {
        this.#scan.fail(i, '`kernel` in a place that is not understood');
      }
    });
  }

  #kernels(): KernelSignature[] {
    const seen = new Set<string>();
    const kernels: KernelSignature[] = [];
    for (const { name, expression, place, definition } of this.#callables) {
      if (seen.has(name)) {
        this.#findings.push({ rule: 'host-name-duplicate', message: `two kernels are called ${name}`, ...place });
        continue;
      }
      seen.add(name);
      if (this.#options.only !== undefined && !this.#options.only.test(name)) continue;
      kernels.push({
        name,
        expression,
        symbol: `simt_kernel_${kernels.length}`,
        parameters: definition.parameters,
        ...(definition.maxThreads !== undefined && { maxThreads: definition.maxThreads }),
        ...place,
      });
    }
    return kernels;
  }

  #registration(kernels: readonly KernelSignature[]): string {
    const lines: string[] = [];
    for (const kernel of kernels) {
      const codes = kernel.parameters.map((p) => {
        if (p.kind === 'buffer') return p.index!;
        if (p.kind === 'threadgroup') return 0x100 + p.index!;
        return p.kind === 'builtin' ? 0x200 + BUILTINS[p.builtin!]! : 0x300;
      });
      if (codes.includes(0x300)) continue; // reported: it cannot be called
      lines.push(`# ${kernel.line} ${JSON.stringify(kernel.file)}`);
      lines.push(`extern "C" void ${kernel.symbol}(void) { ::msl::call<${codes.join(', ')}>(${kernel.expression}); }`);
    }
    const constants = this.#constants.map((c) => `constant ${c.id} ${c.bytes}`);
    const info = ['wave 32', ...constants, ...kernels.map((k) => `kernel ${k.symbol} ${k.name}`)].join('\n');
    lines.push(
      `extern "C" { extern __attribute__((used)) const __constant char simt_module_info[] = ${JSON.stringify(info)}; }`,
    );
    return `${lines.join('\n')}\n`;
  }
}

/** Identifiers outside of template arguments. */
function topLevelWords(tokens: readonly Token[]): string[] {
  let depth = 0;
  const words: string[] = [];
  for (const token of tokens) {
    if (token.source === '<') depth++;
    else if (token.source === '>') depth--;
    else if (token.source === '*' || token.source === '&') {
      // `device T* const p`: what follows qualifies the pointer, not what it points to.
      if (depth === 0) break;
    } else if (depth === 0 && token.kind === 'id') words.push(token.source);
  }
  return words;
}

const renamed = (name: string): string => (OPENCL_KEYWORDS.has(name) ? `msl_${name}` : name);

/** Text of some tokens with address spaces, keywords and literals as {@link MslRewriter} writes them. */
function rename(tokens: readonly Token[]): string {
  let out = '';
  for (const token of tokens) {
    const text = token.kind === 'number' ? literal(token.source) : (SPACES[token.source] ?? renamed(token.source));
    out += (out !== '' && token.space !== '' ? ' ' : '') + text;
  }
  return out;
}

/** The types of a parameter list between two indices, without the parameters' names. */
function parameterTypes(scan: Scan, from: number, to: number): Token[][] {
  const types: Token[][] = [];
  let current: Token[] = [];
  const flush = () => {
    const last = current[current.length - 1];
    const named = current.length > 1 && last?.kind === 'id' && !/^(const|volatile)$/.test(last.source);
    const before = current[current.length - 2];
    if (named && (before?.kind === 'id' || /^[*&>]$/.test(before?.source ?? ''))) {
      const spaces = current.filter(
        (t) => t.source in SPACES || /^(const|volatile|unsigned|signed|typename)$/.test(t.source),
      );
      // The last identifier is a name unless it is the only one that can be the type.
      if (current.filter((t) => t.kind === 'id').length - spaces.length > 1 || /^[*&>]$/.test(before!.source))
        current.pop();
    }
    if (current.length > 0) types.push(current);
    current = [];
  };
  let depth = 0;
  for (let i = from; i < to; i++) {
    const text = scan.at(i);
    if (text === '<' || text === '(') depth++;
    if (text === '>' || text === ')') depth--;
    if (text === ',' && depth === 0) flush();
    else current.push(scan.tokens[i]!);
  }
  flush();
  return types;
}

/** Unsuffixed floating literals are float (MSL section 2.1); inside templates clang would make them double. */
export function literal(source: string): string {
  if (/^0[xX]/.test(source) && !/[pP]/.test(source)) return source;
  const bfloat = /^(.*?)(?:bf|BF)$/.exec(source);
  if (bfloat !== null && !/^0[xX]/.test(source)) return `((bfloat)${bfloat[1]}f)`;
  const floating = /^0[xX]/.test(source) ? /[pP]/.test(source) : /[.eE]/.test(source);
  return floating && /[\d.]$/.test(source) ? `${source}f` : source;
}

function stringValue(tokens: readonly Token[]): string {
  return tokens
    .filter((token) => token.kind === 'string')
    .map((token) => JSON.parse(token.source) as string)
    .join('');
}
