import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { integerValue } from '../../ts/testbed/rewrite/integer.ts';
import { literal, rewriteMsl } from '../../ts/testbed/rewrite/msl.ts';
import { constantBytes } from '../../ts/testbed/rewrite/signature.ts';
import { print, RewriteError, tokenize } from '../../ts/testbed/rewrite/tokens.ts';
import { KERNELS, kernelFiles } from './support.ts';

const rewrite = (source: string, check = false) => rewriteMsl(`# 1 "k.metal"\n${source}\n`, { check });
const body = (source: string) => rewrite(`kernel void k(device float* p [[buffer(0)]]) { ${source} }`).code;

describe('the tokenizer', () => {
  it('prints every kernel file of the tests as it was', () => {
    for (const folder of ['reject', 'bugs', 'valid']) {
      for (const name of kernelFiles(folder)) {
        // The preprocessor takes comments away before the tokenizer sees a file.
        const source = readFileSync(join(KERNELS, folder, name), 'utf8').replace(/\/\/.*$/gm, '');
        expect(print(tokenize(source))).toBe(source);
      }
    }
  });

  it('prints any sequence of tokens as it was, and counts its lines', () => {
    const word = fc.constantFrom(
      ...[
        'a',
        'float4',
        '1',
        '1.5f',
        '0x1p-3',
        '.5',
        '1e+3',
        '"s \\" t"',
        "'c'",
        '->',
        '::',
        '<<=',
        '>',
        '=',
        '&&',
        '[[',
      ],
      ...[
        ']]',
        '{',
        '}',
        '(',
        ')',
        ';',
        '?',
        ':',
        '...',
        '%',
        '^',
        '~',
        '!',
        '##',
        '\n',
        '\n# 7 "f.metal" 2\n',
        ' ',
        '\t',
      ],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 60 }), (words) => {
        const source = words.join(' ');
        const tokens = tokenize(source);
        expect(print(tokens)).toBe(source);
        const last = tokens.filter((token) => token.kind !== 'directive').at(-1);
        if (last !== undefined && !source.includes('#')) {
          const before = source.slice(0, source.lastIndexOf(last.source));
          expect(last.line).toBe(before.split('\n').length);
        }
      }),
    );
  });

  it('refuses a character that no token begins with', () => {
    expect(() => tokenize('# 9 "x.metal"\na ` b')).toThrow(RewriteError);
    try {
      tokenize('# 9 "x.metal"\na ` b');
    } catch (error) {
      expect((error as RewriteError).place).toEqual({ file: 'x.metal', line: 9 });
    }
  });
});

describe('the rewriter', () => {
  it.each([
    ['1.0', '1.0f'],
    ['.5', '.5f'],
    ['1e-5', '1e-5f'],
    ['1.0f', '1.0f'],
    ['1.0h', '1.0h'],
    ['2.5bf', '((bfloat)2.5f)'],
    ['0x1.8p3', '0x1.8p3f'],
    ['0x1F', '0x1F'],
    ['0xE', '0xE'],
    ['12', '12'],
    ['3u', '3u'],
    ['7ul', '7ul'],
  ])('turns the literal %s into %s', (source, wanted) => {
    expect(literal(source)).toBe(wanted);
  });

  it('evaluates the integer expressions that macros leave in attributes', () => {
    const cases: [string, number | undefined][] = [
      ['300 + 10', 310],
      ['(1 << 4) | 3', 19],
      ['2 + 3 * 4 - 1', 13],
      ['-1', -1],
      ['7 / 2 % 2', 1],
      ['10u', 10],
      ['a + 1', undefined],
      ['1 +', undefined],
      ['', undefined],
      ['1.5', undefined],
    ];
    for (const [source, value] of cases) expect(integerValue(tokenize(source)), source).toBe(value);
  });

  it('knows the sizes of the types that function constants may have', () => {
    const sizes = { bool: 1, short: 2, int: 4, float: 4, ulong: 8, int32_t: 4, half4: 8, uint3: 16, size_t: 8 };
    for (const [type, bytes] of Object.entries(sizes)) expect(constantBytes(type), type).toBe(bytes);
    expect(constantBytes('Args')).toBeUndefined();
    expect(constantBytes('float5')).toBeUndefined();
  });

  it('describes every parameter of a kernel, and gives buffers without an attribute the next index', () => {
    const { signature } = rewrite(`
      constant bool FC_x [[function_constant(3 + 4)]];
      template <typename T, short N = 4>
      kernel void f(constant Args & args, device const T * x, device T* const y [[buffer(7)]], device T* z,
                    device int* opt [[buffer(9), function_constant(FC_x)]],
                    threadgroup half* s [[threadgroup(1)]], uint3 g [[threadgroup_position_in_grid]]) {}
      template [[host_name("f_" "half")]] kernel void f<half>(constant Args &, device const half *, device half* const,
                    device half*, device int*, threadgroup half*, uint3);
      typedef decltype(f<float, 2>) f_t;
      template [[host_name("f_float")]] [[kernel]] f_t f<float, 2>;
      [[kernel]] [[max_total_threads_per_threadgroup(256)]] void plain(device float* p [[buffer(0)]]) {}`);
    expect(signature.constants).toEqual([{ name: 'FC_x', id: 7, type: 'bool', bytes: 1, file: 'k.metal', line: 2 }]);
    expect(signature.kernels.map(({ name, expression, maxThreads }) => [name, expression, maxThreads])).toEqual([
      ['f_half', 'f<half>', undefined],
      ['f_float', 'f<float, 2>', undefined],
      ['plain', 'plain', 256],
    ]);
    expect(
      signature.kernels[1]!.parameters.map((p) => [
        p.name,
        p.kind,
        p.space,
        p.index,
        p.readOnly,
        p.condition ?? p.builtin,
      ]),
    ).toEqual([
      ['args', 'buffer', 'constant', 0, true, undefined],
      ['x', 'buffer', 'device', 1, true, undefined],
      ['y', 'buffer', 'device', 7, false, undefined],
      ['z', 'buffer', 'device', 2, false, undefined],
      ['opt', 'buffer', 'device', 9, false, 'FC_x'],
      ['s', 'threadgroup', 'threadgroup', 1, undefined, undefined],
      ['g', 'builtin', undefined, undefined, undefined, 'threadgroup_position_in_grid'],
    ]);
  });

  it('keeps only the kernels that were asked for', () => {
    const source = 'kernel void a(device float* p [[buffer(0)]]) {}\nkernel void b(device float* p [[buffer(0)]]) {}';
    const { signature, code } = rewriteMsl(source, { check: false, only: /^b$/ });
    expect(signature.kernels.map(({ name }) => name)).toEqual(['b']);
    expect(code).not.toMatch(/>\(a\)/);
  });

  it('makes values of both branches of ?:, and leaves literals alone', () => {
    expect(body('x = c ? a[i] : b;')).toContain('c ? ::msl::rv(a[i]) : ::msl::rv(b);');
    expect(body('x = c ? p : 0;')).toContain('c ? ::msl::rv(p) : 0;');
    expect(body('x = c ? p : nullptr;')).toContain(': nullptr;');
    expect(body('f(c ? a : g<int, 2>(x, y), 3);')).toContain('c ? ::msl::rv(a) : ::msl::rv(g<int, 2>(x, y)), 3);');
    expect(body('x = c ? d ? 1 : a : b;')).toContain('c ? ::msl::rv(d ? 1 : ::msl::rv(a)) : ::msl::rv(b);');
  });

  it('leaves every line where it was', () => {
    const source =
      'kernel void k(device float* p [[buffer(0)]],\n  uint i\n  [[thread_position_in_grid]]) {\n  threadgroup float s[4],\n    t;\n  MARK;\n}\n';
    const { code } = rewrite(source);
    const lines = code.slice(code.indexOf('# 1 "k.metal"\n') + 14).split('\n');
    expect(lines.findIndex((line) => line.includes('MARK'))).toBe(5);
  });

  it.each([
    [
      'a [[host_name]] on no kernel',
      'template <typename T> void f(T x) {}\ntemplate [[host_name("f")]] void f<int>(int);',
    ],
    ['an attribute that is not closed', 'kernel void k(device float* p [[buffer(0)) { }'],
    ['a function constant of a struct type', 'constant Args a [[function_constant(0)]];'],
    ['a function constant with a value', 'constant int a [[function_constant(0)]] = 3;'],
    ['an index that is no literal', 'kernel void k(device float* p [[buffer(N)]]) {}'],
    ['a ? without a :', 'kernel void k(device float* p [[buffer(0)]]) { x = a ? b; }'],
    ['the word kernel in a strange place', 'int kernel = 3;'],
    ['a brace that is not closed', 'kernel void k(device float* p [[buffer(0)]]) {'],
    [
      'is_function_constant_defined of something else',
      'constant int a [[function_constant(0)]];\nconstant bool b = is_function_constant_defined(c) ? 1 : a;',
    ],
  ])('fails loudly on %s', (_, source) => {
    expect(() => rewrite(source)).toThrow(RewriteError);
  });

  it('declares function constants as constants for the check, and settable for a run', () => {
    const source =
      'constant short N [[function_constant(5)]];\nconstant int twice = N * 2;\nkernel void k(device int* p [[buffer(0)]]) { p[0] = twice; }';
    const checked = rewrite(source, true).code;
    expect(checked).toMatch(/extern const __constant\s+short N/);
    const run = rewrite(source).code;
    expect(run).toContain('short N __asm__("msl_fc_5");');
    for (const code of [checked, run]) expect(code).toContain('p[0] = twice_derived();');
  });
});
