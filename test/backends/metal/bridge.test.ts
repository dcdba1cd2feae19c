// The TypeScript side of the bridge by itself: errors, commands, sources, and where a bridge is looked for.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bridgeError } from '../../../ts/backends/metal/bridge.ts';
import { encodeCommands } from '../../../ts/backends/metal/encode.ts';
import { bridgeCandidates } from '../../../ts/backends/metal/load.ts';
import { inlineSource, librarySource } from '../../../ts/backends/metal/sources.ts';
import { METAL_KERNELS } from '../../../ts/kernels/metal/catalogue.ts';
import { metalLoads } from '../../support/device.ts';
import { itOn } from '../../support/where.ts';

describe('errors of the bridge', () => {
  it('arrive with their code, message and details', () => {
    const tagged = { code: 'ERR_OUT_OF_MEMORY', message: 'Too much.', details: { byteLength: 5 } };
    for (const text of [JSON.stringify(tagged), `Error: ${JSON.stringify(tagged)}`]) {
      expect(bridgeError(new Error(text))).toMatchObject(tagged);
    }
  });

  it('are failures of the bridge when they are not tagged', () => {
    for (const text of ['it broke', '{ it broke', '{"code":"EPERM","message":"no"}', '']) {
      expect(bridgeError(new Error(text))).toMatchObject({ code: 'ERR_NATIVE_FAILURE' });
    }
    expect(bridgeError('a string').message).toContain('a string');
  });
});

it('encodes launches word by word', () => {
  const bytes = encodeCommands([
    {
      pipeline: 7,
      geometry: { threadgroups: [1, 2, 3], threads: [32, 1, 1], threadgroupBytes: [64, 128] },
      params: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0),
      paramsIndex: 13,
      buffers: [
        { index: 0, memory: 0, byteOffset: 4 },
        { index: 2, memory: 1, byteOffset: 5 * 2 ** 32 + 8 },
      ],
    },
  ]);
  expect([...new Uint32Array(bytes.buffer)]).toEqual([
    ...[7, 2, 8, 2],
    ...[1, 2, 3, 32, 1, 1],
    ...[64, 128],
    ...[0, 0, 4, 0],
    ...[2, 1, 8, 5],
    ...[13, 1, 2],
  ]);
});

describe('the source of a library', () => {
  it.each([...new Set(METAL_KERNELS.map(({ source }) => source))])('holds all that %s includes, once', (source) => {
    const text = librarySource(source);
    const includes = [...text.matchAll(/^\s*#\s*include\s*(.*)$/gm)].map(([, what]) => what);
    for (const what of includes) expect(what).toMatch(/^<(metal_.*|stdint.h)>$/);
    const files = [...text.matchAll(/^#line 1 "(.*)"$/gm)].map(([, file]) => file);
    expect(files[0]).toBe(`metal/${source}`);
    expect(new Set(files).size).toBe(files.length);
    expect(text).not.toContain('#pragma once');
  });

  it('keeps the lines of a plug-in, and includes nothing from outside the package', () => {
    const text = inlineSource('own.metal', '#include "generated/copy.h"\nint second;\n#include "../../package.json"\n');
    expect(text).toMatch(/#line 2 "own.metal"\nint second;\n#include "..\/..\/package.json"/);
    expect(text).toContain('fc_src_dtype');
  });
});

describe('where a bridge is looked for', () => {
  it('is listed best first: the environment, the package, the platform package, the cache folder', () => {
    process.env.TILEWRIGHT_METAL = '/nowhere/bridge.node';
    try {
      expect(
        bridgeCandidates()
          .map(({ what }) => what)
          .slice(0, 3),
      ).toEqual(['TILEWRIGHT_METAL', 'built in the package', 'platform package']);
    } finally {
      delete process.env.TILEWRIGHT_METAL;
    }
  });

  itOn(!metalLoads)('is told, place by place, where there is none', () => {
    const index = fileURLToPath(new URL('../../../ts/index.ts', import.meta.url));
    const code = `
      const { openDevice } = await import(${JSON.stringify(index)});
      const error = await openDevice({ backend: 'metal' }).catch((caught) => caught);
      console.log(JSON.stringify({ code: error.code, message: error.message, attempts: error.details.attempts.length }));
    `;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { ...process.env, TILEWRIGHT_METAL: '/nowhere/bridge.node' },
    });
    const told = JSON.parse(stdout) as { code: string; message: string; attempts: number };
    expect(told.code).toBe('ERR_BACKEND_UNAVAILABLE');
    expect(told.attempts).toBeGreaterThanOrEqual(3);
    expect(told.message).toMatch(/\/nowhere\/bridge.node \(TILEWRIGHT_METAL\)[\s\S]*\(platform package\)/);
  });
});
