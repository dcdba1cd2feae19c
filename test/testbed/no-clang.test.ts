import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT_USAGE, runCheckCommand } from '../../ts/testbed/command.ts';

// Before anything looks for the compiler: the search is made once per process.
process.env.TILEWRIGHT_CLANG = join('/', 'nowhere', 'clang-19');
const args = { file: 'k.metal', json: false, wave: 64 };

describe('without clang 19', () => {
  it.skipIf(process.platform !== 'linux')('check says how to get it, and exits with 2', async () => {
    let errors = '';
    const code = await runCheckCommand(args, { write: () => {} }, { write: (text) => (errors += text) });
    expect(code).toBe(EXIT_USAGE);
    expect(errors).toContain('apt-get install clang-19');
    expect(errors).toContain('TILEWRIGHT_CLANG');
  });

  it('check --json says it as JSON', async () => {
    let out = '';
    const code = await runCheckCommand(
      { ...args, json: true },
      { write: (text) => (out += text) },
      { write: () => {} },
    );
    expect(code).toBe(EXIT_USAGE);
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'ERR_BACKEND_UNAVAILABLE' } });
  });
});
