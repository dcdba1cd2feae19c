/** Where a token stands in the user's files, as the preprocessor's line markers say. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export type TokenKind = 'id' | 'number' | 'string' | 'char' | 'punct' | 'directive' | 'attribute';

export interface Token extends Place {
  readonly kind: TokenKind;
  /** As it stood in the source. */
  readonly source: string;
  /** What is written in its place. */
  text: string;
  /** White space (and comments, which the preprocessor has removed) before the token. */
  readonly space: string;
  before: string;
  after: string;
}

/** The source holds something that the rewriter does not understand: it never guesses. */
export class RewriteError extends Error {
  override readonly name = 'RewriteError';
  readonly place: Place;
  constructor(place: Place, message: string) {
    super(message);
    this.place = place;
  }
}

const PATTERN =
  /([A-Za-z_$][\w$]*)|(\.?\d(?:[eEpP][+-]|[\w.'])*)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)*')|(->\*?|<<=|<=>|\+\+|--|::|\.\.\.|[-+*/%&|^<=!]=|&&|\|\||<<|##|[-+*/%&|^<>=!~?:;,.()[\]{}#@\\])/y;
const KINDS: readonly TokenKind[] = ['id', 'number', 'string', 'char', 'punct'];
const MARKER = /^#\s*(?:line\s+)?(\d+)\s+"((?:[^"\\]|\\.)*)"/;

/**
 * Tokens of preprocessed source. `>` is always a token of its own (and so are `>` `=` and `>` `>`), because templates
 * close with it; no white space is added between tokens, so printing them gives the source back.
 */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let file = '<input>';
  let line = 1;
  const push = (kind: TokenKind, text: string, space: string) =>
    tokens.push({ kind, source: text, text, space, before: '', after: '', file, line });
  while (at < source.length) {
    const start = at;
    while (at < source.length && /\s/.test(source[at]!)) {
      if (source[at] === '\n') line++;
      at++;
    }
    const space = source.slice(start, at);
    if (at === source.length) {
      if (space !== '') push('directive', '', space);
      break;
    }
    if (source[at] === '#' && (start === 0 || space.includes('\n'))) {
      const end = source.indexOf('\n', at);
      const text = source.slice(at, end === -1 ? source.length : end);
      push('directive', text, space);
      const marker = MARKER.exec(text);
      if (marker !== null) {
        line = Number(marker[1]) - 1;
        file = marker[2]!.replace(/\\(.)/g, '$1');
      }
      at += text.length;
      continue;
    }
    PATTERN.lastIndex = at;
    const match = PATTERN.exec(source);
    if (match === null) throw new RewriteError({ file, line }, `unexpected character ${JSON.stringify(source[at])}`);
    push(KINDS[match.slice(1).findIndex((group) => group !== undefined)]!, match[0], space);
    at += match[0].length;
  }
  return tokens;
}

export const print = (tokens: readonly Token[]): string =>
  tokens.map((token) => token.space + token.before + token.text + token.after).join('');

/** Source text of some tokens, white space reduced to what keeps them apart. */
export function textOf(tokens: readonly Token[]): string {
  let out = '';
  for (const token of tokens) {
    if (token.kind === 'directive') continue;
    out += (out !== '' && token.space !== '' ? ' ' : '') + token.source;
  }
  return out;
}
