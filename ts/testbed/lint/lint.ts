import type { Rewritten } from '../rewrite/msl.ts';
import { MAX_BUFFER_INDEX } from '../rewrite/msl.ts';
import type { FunctionScope, Scan } from '../rewrite/scan.ts';
import { BUILTINS, type Finding, type KernelParameter } from '../rewrite/signature.ts';

type Report = (rule: string, index: number, message: string) => void;

/**
 * What the type check cannot see, because C++ for OpenCL allows it and Metal does not, or because it is about the
 * interface to the host. Each rule is described in docs/test-bed.md.
 */
export function lint(rewritten: Rewritten): Finding[] {
  const { scan, signature } = rewritten;
  const findings: Finding[] = [];
  const report: Report = (rule, index, message) => findings.push({ rule, message, ...scan.place(index) });
  forbiddenWords(scan, report);
  loops(scan, report);
  recursion(scan, report);
  pointers(scan, report);
  componentAddresses(scan, report);
  functionPointers(scan, report);
  lambdas(scan, report);
  statics(scan, report);
  memoryOrders(scan, report);
  const seen = new Set<string>();
  for (const kernel of signature.kernels) {
    // Instantiations of one template have one parameter list: report it once.
    const key = JSON.stringify(kernel.parameters);
    if (seen.has(key)) continue;
    seen.add(key);
    const add = (rule: string, at: { file: string; line: number }, message: string) =>
      findings.push({ rule, message, file: at.file, line: at.line, kernel: kernel.name });
    bufferIndices(kernel.parameters, add);
    builtins(kernel.parameters, add);
  }
  return findings;
}

const FORBIDDEN: Readonly<Record<string, readonly [string, string]>> = {
  double: ['no-double', 'there is no double in Metal (MSL 2.1)'],
  goto: ['no-goto', 'there is no goto in Metal (MSL 1.5.4)'],
  virtual: ['no-virtual', 'there are no virtual functions in Metal (MSL 1.5.4)'],
  new: ['no-allocation', 'there is no new in Metal (MSL 1.5.4)'],
  delete: ['no-allocation', 'there is no delete in Metal (MSL 1.5.4)'],
  dynamic_cast: ['no-rtti', 'there is no dynamic_cast in Metal (MSL 1.5.4)'],
  typeid: ['no-rtti', 'there is no typeid in Metal (MSL 1.5.4)'],
  try: ['no-exceptions', 'there are no exceptions in Metal (MSL 1.5.4)'],
  throw: ['no-exceptions', 'there are no exceptions in Metal (MSL 1.5.4)'],
  catch: ['no-exceptions', 'there are no exceptions in Metal (MSL 1.5.4)'],
  thread_local: ['no-thread-local', 'there is no thread_local in Metal (MSL 1.5.4)'],
  asm: ['no-assembler', 'there is no inline assembler in Metal'],
  std: ['no-std', 'the C++ standard library is not available in Metal: use metal:: (MSL 1.5.4)'],
};

function forbiddenWords(scan: Scan, report: Report): void {
  scan.tokens.forEach((token, i) => {
    const before = scan.at(i - 1);
    if (token.kind === 'number' && /^[\d.].*[.eE].*[lL]$/.test(token.source) && !/^0[xX]/.test(token.source)) {
      report('no-double', i, `${token.source} is a long double: write ${token.source.slice(0, -1)}f`);
    }
    if (token.kind !== 'id') return;
    const entry = Object.hasOwn(FORBIDDEN, token.source) ? FORBIDDEN[token.source] : undefined;
    if (entry === undefined || before === '.' || before === '->') return;
    if (token.source === 'std' && scan.at(i + 1) !== '::') return;
    if (token.source === 'delete' && before === '=') return;
    report(entry[0], i, entry[1]);
  });
}

/** `while (true)` with no way out. */
function loops(scan: Scan, report: Report): void {
  scan.tokens.forEach((token, i) => {
    if (token.source !== 'while' || scan.at(i + 1) !== '(' || scan.at(i + 3) !== ')') return;
    if (!/^(true|1)$/.test(scan.at(i + 2)) || scan.at(i + 4) !== '{') return;
    const close = scan.match[i + 4]!;
    for (let k = i + 5; k < close; k++) if (/^(break|return)$/.test(scan.at(k))) return;
    report('endless-loop', i, 'this loop has no break and no return');
  });
}

function recursion(scan: Scan, report: Report): void {
  const byName = new Map<string, FunctionScope[]>();
  for (const fn of scan.functions) {
    if (fn.name !== '' && fn.name !== 'operator') byName.set(fn.name, [...(byName.get(fn.name) ?? []), fn]);
  }
  // A name with several definitions may call another overload of it, so only unique names are followed.
  const calls = new Map<string, Set<string>>();
  for (const [name, definitions] of byName) {
    if (definitions.length !== 1) continue;
    const { open, close } = definitions[0]!;
    const called = new Set<string>();
    for (let i = open; i < close; i++) {
      const before = scan.at(i - 1);
      if (scan.tokens[i]!.kind !== 'id' || before === '.' || before === '->') continue;
      const explicit = scan.at(i + 1) === '<';
      const next = explicit ? (scan.angle(i + 1) ?? i) + 1 : i + 1;
      const targets = byName.get(scan.at(i));
      if (scan.at(next) !== '(' || targets?.length !== 1) continue;
      // `f<N - 1>()` in a template is another function each time: the compiler finds the end, or does not.
      if (explicit && scan.at(targets[0]!.head) === 'template') continue;
      called.add(scan.at(i));
    }
    calls.set(name, called);
  }
  for (const name of calls.keys()) {
    const reached = new Set<string>();
    const stack = [...calls.get(name)!];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (reached.has(next)) continue;
      reached.add(next);
      stack.push(...(calls.get(next) ?? []));
    }
    if (reached.has(name)) {
      report(
        'no-recursion',
        byName.get(name)![0]!.head,
        `${name} calls itself: there is no recursion in Metal (MSL 1.5.4)`,
      );
    }
  }
}

const SPACE = /^(device|constant|threadgroup|thread|threadgroup_imageblock|ray_data|object_data)$/;
const TYPE_WORD = /^(const|volatile|unsigned|signed|struct|typename|constexpr|static|inline|auto)$/;

/** Every pointer and reference names its address space (MSL 4). */
function pointers(scan: Scan, report: Report): void {
  const { tokens } = scan;
  const complain = (i: number) =>
    report(
      'pointer-space',
      i,
      'this pointer or reference names no address space: device, constant, threadgroup or thread (MSL 4)',
    );
  // Parameters.
  const lists = new Set<number>();
  for (const fn of scan.functions) {
    for (let i = fn.head; i < fn.open; i++) {
      if (scan.at(i) === '(' && scan.at(i - 1) === fn.name) {
        lists.add(i);
        break;
      }
      if (scan.at(i) === '(') i = scan.match[i]!;
    }
  }
  for (const open of lists) {
    const close = scan.match[open]!;
    for (const [from, to] of parts(scan, open + 1, close)) {
      const star = pointerAt(scan, from, to);
      if (star === undefined) continue;
      const head = tokens.slice(from, to).map((t) => t.source);
      if (head.includes('auto') || head.some((word) => SPACE.test(word))) continue;
      complain(star);
    }
  }
  // Locals and fields: `T *p =`, `T &r =`, `T *p;` at the beginning of a statement.
  for (let i = 0; i < tokens.length; i++) {
    if (i > 0 && !/^[;{}(]$/.test(scan.at(i - 1))) continue;
    if (/^\($/.test(scan.at(i - 1)) && scan.at(i - 2) !== 'for') continue;
    let k = i;
    let spaced = false;
    while (TYPE_WORD.test(scan.at(k)) || SPACE.test(scan.at(k))) {
      spaced ||= SPACE.test(scan.at(k)) || scan.at(k) === 'auto';
      k++;
    }
    if (spaced) continue;
    if (!/^(unsigned|signed)$/.test(scan.at(k - 1)) || k === i) {
      if (tokens[k]?.kind !== 'id' || /^(return|typedef|using|case|else|delete|template|operator)$/.test(scan.at(k)))
        continue;
      k++;
      while (scan.at(k) === '::' && tokens[k + 1]?.kind === 'id') k += 2;
    }
    if (scan.at(k) === '<') {
      const close = scan.angle(k);
      if (close === undefined) continue;
      k = close + 1;
    }
    while (/^(const|volatile)$/.test(scan.at(k)) || SPACE.test(scan.at(k))) {
      spaced ||= SPACE.test(scan.at(k));
      k++;
    }
    if (spaced || !/^[*&]$/.test(scan.at(k))) continue;
    const star = k;
    while (/^(\*|&|const|restrict|__restrict)$/.test(scan.at(k))) k++;
    if (tokens[k]?.kind === 'id' && /^(=|;|\[|,|:)$/.test(scan.at(k + 1)) && !lists.has(i - 1)) complain(star);
  }
  // Casts and template arguments: `(T*)`, `<T*>`.
  for (let i = 1; i < tokens.length; i++) {
    if (scan.at(i) !== '*' || !/^[)>]$/.test(scan.at(i + 1))) continue;
    let from = i - 1;
    let depth = 0;
    for (; from > 0; from--) {
      const text = scan.at(from);
      if (text === '>' || text === ')') depth++;
      else if (text === '<' || text === '(') {
        if (depth-- === 0) break;
      } else if (depth === 0 && /^[,;{}]$/.test(text)) break;
    }
    const inner = tokens.slice(from + 1, i);
    if (inner.length === 0 || lists.has(from) || inner.some((t) => SPACE.test(t.source))) continue;
    if (inner.every((t) => t.kind === 'id' || /^(::|<|>|,|\*)$/.test(t.source) || t.kind === 'number')) complain(i);
  }
}

function parts(scan: Scan, from: number, to: number): [number, number][] {
  const out: [number, number][] = [];
  let start = from;
  for (let i = from; i <= to; i++) {
    const text = scan.at(i);
    if (i < to && /^[([{]$/.test(text)) i = scan.match[i]!;
    else if (text === '<') i = scan.angle(i) ?? i;
    else if (i === to || text === ',') {
      if (i > start) out.push([start, i]);
      start = i + 1;
    }
  }
  return out;
}

/** The `*` or `&` of a parameter's declarator, outside of template arguments and default values. */
function pointerAt(scan: Scan, from: number, to: number): number | undefined {
  for (let i = from; i < to; i++) {
    const text = scan.at(i);
    if (text === '=') return undefined;
    if (text === '<') i = scan.angle(i) ?? i;
    else if (text === '(') i = scan.match[i]!;
    else if (text === '*' || text === '&' || text === '&&') return i;
  }
  return undefined;
}

const COMPONENT = /^[xyzwrgba]$/;

/** `&v.x`: components of vectors have no address (MSL 2.2.1). */
function componentAddresses(scan: Scan, report: Report): void {
  scan.tokens.forEach((token, i) => {
    if (token.source !== '&' || !/^([=(,;{}]|return|\?|:|\[)$/.test(scan.at(i - 1))) return;
    let k = i + 1;
    while (scan.at(k) === '(' && scan.at(k - 1) === '&') k++;
    for (;;) {
      const text = scan.at(k);
      if (scan.tokens[k]?.kind === 'id') k++;
      else if (text === '.' || text === '->' || text === '::') {
        const name = scan.at(k + 1);
        const last = !/^(\.|->|\[|\(|::)$/.test(scan.at(k + 2));
        if (text === '.' && last && COMPONENT.test(name) && !scan.fields.has(name)) {
          report('component-address', i, `&….${name}: a component of a vector has no address (MSL 2.2.1)`);
        }
        k++;
      } else if (text === '[' || text === '(') k = scan.match[k]! + 1;
      else break;
    }
  });
}

/** Pointers to functions exist only as visible functions, which the test bed does not know (MSL 1.5.4). */
function functionPointers(scan: Scan, report: Report): void {
  const { tokens } = scan;
  for (let i = 0; i < tokens.length; i++) {
    if (scan.at(i) !== '(' || scan.at(i + 1) !== '*' || tokens[i + 2]?.kind !== 'id' || scan.at(i + 3) !== ')')
      continue;
    if (scan.at(i + 4) !== '(' || tokens[i - 1]?.kind !== 'id') continue;
    if (/^(return|sizeof|if|while|for|switch|case)$/.test(scan.at(i - 1)) || insideTemplateHeader(scan, i)) continue;
    if (!/^[;=,)]$/.test(scan.at(scan.match[i + 4]! + 1))) continue;
    // `f (*p)(x)` is no statement that makes sense: a declaration.
    if (scan.functions.some((fn) => fn.open < i && i < fn.close) && !/^[;{}(,]$/.test(scan.at(i - 2))) continue;
    report('function-pointer', i, 'there are no pointers to functions in Metal, except visible functions (MSL 1.5.4)');
  }
}

function insideTemplateHeader(scan: Scan, index: number): boolean {
  for (let i = index; i >= 0 && !/^[;{}]$/.test(scan.at(i)); i--) {
    if (scan.at(i) === 'template' && scan.at(i + 1) === '<') {
      const close = scan.angle(i + 1);
      return close === undefined || close > index;
    }
  }
  return false;
}

function lambdas(scan: Scan, report: Report): void {
  scan.tokens.forEach((token, i) => {
    if (token.source !== '[' || token.kind !== 'punct') return;
    const before = scan.tokens[i - 1];
    if (
      before === undefined || before.kind === 'id'
        ? !/^(return|case)$/.test(before?.source ?? '')
        : /^[\])]$/.test(before.source)
    )
      return;
    const next = scan.at(scan.match[i]! + 1);
    if (next === '(' || (next === '{' && !/^[,{]$/.test(before?.source ?? ''))) {
      report('no-lambda', i, 'there are no lambda expressions in Metal before version 3.2 (MSL 1.5.4)');
    }
  });
}

/** Program-scope variables are constant; static variables in functions do not exist (MSL 4.2). */
function statics(scan: Scan, report: Report): void {
  for (const fn of scan.functions) {
    for (let i = fn.open + 1; i < fn.close; i++) {
      if (scan.at(i) !== 'static' || !/^[;{}]$/.test(scan.at(i - 1))) continue;
      let constant = false;
      for (let k = i; k < fn.close && !/^[;={]$/.test(scan.at(k)); k++) constant ||= scan.at(k) === 'constant';
      if (!constant)
        report('no-static', i, 'a static variable of a function has to be in the constant space (MSL 4.2)');
    }
  }
}

function memoryOrders(scan: Scan, report: Report): void {
  scan.tokens.forEach((token, i) => {
    if (/^memory_order_(acquire|release|acq_rel|seq_cst|consume)$/.test(token.source)) {
      report('memory-order', i, `${token.source}: atomic functions take memory_order_relaxed only (MSL 6.15.1)`);
    }
  });
}

type Add = (rule: string, at: { file: string; line: number }, message: string) => void;

function bufferIndices(parameters: readonly KernelParameter[], add: Add): void {
  for (const kind of ['buffer', 'threadgroup'] as const) {
    const users = new Map<number, KernelParameter[]>();
    for (const parameter of parameters) {
      if (parameter.kind !== kind) continue;
      const index = parameter.index!;
      const others = users.get(index) ?? [];
      // Two arguments may share an index when function constants say that only one of them exists.
      const clash = others.find((other) => other.condition === undefined || parameter.condition === undefined);
      if (clash !== undefined) {
        add(`${kind}-duplicate`, parameter, `[[${kind}(${index})]] is given to ${clash.name} and to ${parameter.name}`);
      }
      users.set(index, [...others, parameter]);
      if (index > MAX_BUFFER_INDEX || index < 0) {
        add(`${kind}-index`, parameter, `[[${kind}(${index})]]: indices go from 0 to ${MAX_BUFFER_INDEX}`);
      }
    }
  }
}

function builtins(parameters: readonly KernelParameter[], add: Add): void {
  const lengths = new Map<number, KernelParameter>();
  const used = new Map<string, KernelParameter>();
  for (const parameter of parameters) {
    if (parameter.kind !== 'builtin') continue;
    const builtin = parameter.builtin!;
    const twice = used.get(builtin);
    if (twice !== undefined)
      add('builtin-duplicate', parameter, `[[${builtin}]] is given to ${twice.name} and to ${parameter.name}`);
    used.set(builtin, parameter);
    if (parameter.type.includes('*') || parameter.type.includes('&')) {
      add('argument-type', parameter, `[[${builtin}]] is a value, not ${parameter.type}`);
    }
    const vector = /^(?:const )?(?:metal::)?u(?:short|int)([234])?$/.exec(parameter.type);
    if (vector === null || BUILTINS[builtin]! >= 16) continue;
    lengths.set(Number(vector[1] ?? 1), parameter);
  }
  if (lengths.size > 1) {
    const [first, second] = [...lengths.values()];
    add(
      'builtin-length',
      second!,
      `${first!.type} ${first!.name} and ${second!.type} ${second!.name}: positions and sizes of a kernel have one number of components (MSL 5.2.3.6)`,
    );
  }
}
