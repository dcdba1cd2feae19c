import { type Place, RewriteError, type Token } from './tokens.ts';

/** One `[[...]]`: its entries in order. */
export interface Attribute {
  readonly token: Token;
  readonly entries: readonly { readonly name: string; readonly args: readonly Token[] | undefined }[];
}

export interface FunctionScope {
  readonly name: string;
  /** Index of the head's first token, of the opening and of the closing brace. */
  readonly head: number;
  readonly open: number;
  readonly close: number;
  readonly namespaces: readonly string[];
  /** Inside a class: a method. */
  readonly member: boolean;
}

/** Tokens that end the hope that a `<` opens template arguments. */
const NOT_IN_ARGUMENTS = /^(;|\{|\}|\)|\]|\?|&&|\|\||=|[-+*/%&|^<=!]=|<<)$/;

/** The significant tokens of a file (no directives) with brackets matched, attributes joined and functions found. */
export class Scan {
  readonly tokens: Token[];
  readonly match: Int32Array;
  readonly attributes = new Map<Token, Attribute>();
  readonly functions: FunctionScope[] = [];
  /** Names of fields of the file's own structs. */
  readonly fields = new Set<string>();
  /** Namespaces around each top-level statement, by index of its first token. */
  readonly namespaceAt: (index: number) => readonly string[];

  constructor(all: Token[]) {
    this.tokens = joinAttributes(all, this.attributes);
    this.match = matchBrackets(this.tokens);
    const ranges: { open: number; close: number; path: readonly string[] }[] = [];
    this.#scopes(0, this.tokens.length, [], false, ranges);
    this.namespaceAt = (index) => {
      let path: readonly string[] = [];
      for (const range of ranges) if (range.open < index && index < range.close) path = range.path;
      return path;
    };
  }

  at(index: number): string {
    return this.tokens[index]?.source ?? '';
  }

  place(index: number): Place {
    const token = this.tokens[Math.min(index, this.tokens.length - 1)];
    return token === undefined ? { file: '<input>', line: 1 } : { file: token.file, line: token.line };
  }

  fail(index: number, message: string): never {
    throw new RewriteError(this.place(index), message);
  }

  /**
   * Index of the `>` that closes the `<` at `open`, or undefined when it is a comparison. Only tokens that occur in
   * template arguments may stand between.
   */
  angle(open: number): number | undefined {
    let depth = 0;
    const parameters = this.at(open - 1) === 'template';
    for (let i = open; i < this.tokens.length; i++) {
      const text = this.at(i);
      // `sizeof(T) < 8` compares: template arguments follow a name.
      if (text === '<' && (i === open || this.tokens[i - 1]!.kind === 'id')) depth++;
      else if (text === '>') {
        if (--depth === 0) return i;
      } else if (text === '(' || text === '[') i = this.match[i]!;
      // A parameter list has default arguments with any operators.
      else if (parameters ? /^[;{})\]]$/.test(text) : NOT_IN_ARGUMENTS.test(text)) return undefined;
    }
    return undefined;
  }

  /** The scopes between `from` and `to`: namespaces and classes are entered, function bodies recorded. */
  #scopes(
    from: number,
    to: number,
    path: readonly string[],
    member: boolean,
    ranges: { open: number; close: number; path: readonly string[] }[],
  ): void {
    let head = from;
    for (let i = from; i < to; i++) {
      const text = this.at(i);
      if (text === ';') {
        if (member) this.#field(head, i);
        head = i + 1;
      } else if (member && text === ':' && /^(public|private|protected)$/.test(this.at(i - 1))) head = i + 1;
      else if (text === '(' || text === '[') i = this.match[i]!;
      else if (text === '{') {
        const close = this.match[i]!;
        const kind = this.#kindOf(head, i);
        if (kind === 'namespace') {
          const name = this.tokens
            .slice(head, i)
            .filter((token) => token.kind === 'id' && token.source !== 'namespace');
          const inner = this.at(head) === 'extern' ? path : [...path, ...name.map((token) => token.source)];
          ranges.push({ open: i, close, path: inner });
          this.#scopes(i + 1, close, inner, false, ranges);
          head = close + 1;
        } else if (kind === 'class') {
          this.#scopes(i + 1, close, path, true, ranges);
          // What follows up to the `;` declares variables of the type.
        } else if (kind === 'function') {
          this.functions.push({ name: this.#functionName(head, i), head, open: i, close, namespaces: path, member });
          head = close + 1;
        }
        i = close;
      }
    }
  }

  #field(from: number, to: number): void {
    for (let i = to - 1; i > from; i--) {
      const token = this.tokens[i]!;
      if (token.source === ']') i = this.match[i]!;
      else if (token.source === ')') return;
      else if (token.kind === 'id') {
        this.fields.add(token.source);
        if (this.at(i - 1) !== ',') return;
        i--;
      }
    }
  }

  #kindOf(head: number, open: number): 'namespace' | 'class' | 'function' | 'initializer' {
    let parens = false;
    for (let i = head; i < open; i++) {
      const text = this.at(i);
      if (text === 'namespace' || (text === 'extern' && i + 2 === open)) return 'namespace';
      if (text === '=' && this.at(i - 1) !== 'operator') return 'initializer';
      if (text === '(') {
        parens = true;
        i = this.match[i]!;
      } else if (text === '<') i = this.angle(i) ?? i;
      else if (!parens && /^(struct|class|union|enum)$/.test(text)) return 'class';
    }
    return parens ? 'function' : 'initializer';
  }

  #functionName(head: number, open: number): string {
    for (let i = head; i < open; i++) {
      if (this.at(i) === '(') {
        const before = this.tokens[i - 1];
        if (before === undefined) break;
        if (/^(decltype|__attribute__|__launch_bounds__|alignas)$/.test(before.source)) {
          i = this.match[i]!;
          continue;
        }
        return before.kind === 'id' ? before.source : 'operator';
      }
      if (this.at(i) === '<') i = this.angle(i) ?? i;
    }
    return '';
  }
}

function joinAttributes(all: readonly Token[], attributes: Map<Token, Attribute>): Token[] {
  const significant = all.filter((token) => token.kind !== 'directive');
  const out: Token[] = [];
  for (let i = 0; i < significant.length; i++) {
    const token = significant[i]!;
    const next = significant[i + 1];
    if (token.source !== '[' || next?.source !== '[' || next.space !== '') {
      out.push(token);
      continue;
    }
    let depth = 0;
    let end = i;
    for (; end < significant.length; end++) {
      const text = significant[end]!.source;
      if (text === '[') depth++;
      else if (text === ']' && --depth === 0) break;
      else if (text === ';' || text === '{') throw new RewriteError(token, 'this [[attribute]] is not closed');
    }
    if (end === significant.length) throw new RewriteError(token, 'this [[attribute]] is not closed');
    const inner = significant.slice(i + 2, end - 1);
    const joined: Token = {
      ...token,
      kind: 'attribute',
      source: `[[${inner.map((t) => t.source).join('')}]]`,
      text: '',
    };
    // The printed tokens are the originals: the joined one only stands for them here.
    for (const part of significant.slice(i, end + 1)) part.text = '';
    attributes.set(joined, { token: joined, entries: attributeEntries(inner) });
    out.push(joined);
    i = end;
  }
  return out;
}

function attributeEntries(inner: readonly Token[]): Attribute['entries'] {
  const entries: { name: string; args: Token[] | undefined }[] = [];
  for (let i = 0; i < inner.length; i++) {
    if (inner[i]!.source === ',') continue;
    let name = '';
    while (i < inner.length && inner[i]!.source !== ',' && inner[i]!.source !== '(') name += inner[i++]!.source;
    let args: Token[] | undefined;
    if (inner[i]?.source === '(') {
      args = [];
      let depth = 0;
      for (; i < inner.length; i++) {
        const text = inner[i]!.source;
        if (text === ')' && --depth === 0) break;
        if (depth > 0) args.push(inner[i]!);
        if (text === '(') depth++;
      }
    }
    entries.push({ name, args });
  }
  return entries;
}

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

function matchBrackets(tokens: readonly Token[]): Int32Array {
  const match = new Int32Array(tokens.length).fill(-1);
  const open: number[] = [];
  tokens.forEach((token, i) => {
    if (token.kind !== 'punct') return;
    if (token.source in CLOSERS) open.push(i);
    else if (token.source === ')' || token.source === ']' || token.source === '}') {
      const start = open.pop();
      if (start === undefined || CLOSERS[tokens[start]!.source] !== token.source) {
        throw new RewriteError(token, `this ${token.source} closes nothing`);
      }
      match[start] = i;
      match[i] = start;
    }
  });
  const left = open.pop();
  if (left !== undefined) throw new RewriteError(tokens[left]!, `this ${tokens[left]!.source} is not closed`);
  return match;
}
