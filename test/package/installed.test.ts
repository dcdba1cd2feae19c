// The package as users get it: packed, installed into an empty project, and used from there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execute, mustExecute, Project } from './project.ts';

const MATMUL = `
  import { MatmulDispatcher, openDevice } from 'tilewright';
  const device = await openDevice({ backend: 'cpu' });
  const a = device.tensor(new Float32Array([1, 2, 3, 4]), { shape: [2, 2] });
  const b = device.tensor(new Float32Array([5, 6, 7, 8]), { shape: [2, 2] });
  const product = await new MatmulDispatcher(device).matmul({ a, b });
  console.log(JSON.stringify([...(await product.read())]));
  device.dispose();
`;
const PRODUCT = '[19,22,43,50]\n';

const tarballs = mkdtempSync(join(tmpdir(), 'tilewright-tarballs-'));
let main = '';
let platform = '';

/** The compiler of the HIP kernels, and AMD's linker. */
const hasLlvm = ['clang++-19', 'ld.lld-19'].every((tool) => spawnSync(tool, ['--version']).status === 0);
/** One small unit for one target stands for all twelve, which take minutes. */
const FEW_KERNELS = { TILEWRIGHT_HIP_BUILD: '--targets gfx906 --units ^quantize$' };

beforeAll(async () => {
  const pack = ['scripts/pack.mjs', '--out', tarballs];
  const files = (await mustExecute(process.execPath, pack, { env: FEW_KERNELS })).trim().split('\n');
  [main, platform] = files as [string, string];
  for (const file of files) console.log(`${basename(file)}: ${Math.ceil(statSync(file).size / 1024)} KiB`);
});
afterAll(() => rmSync(tarballs, { recursive: true, force: true }));

async function contents(tarball: string): Promise<string[]> {
  const list = await mustExecute('tar', ['-tzf', tarball]);
  return list.trim().split('\n');
}

describe('the published tarballs', () => {
  it('hold the compiled modules, the commands, and what the native code is built from, and nothing else', async () => {
    const allowed = [
      /^package\/(package\.json|README\.md|LICENSE|Makefile|Package\.swift)$/,
      /^package\/dist\/(ts|bench)\/[\w/-]+\.(js|d\.ts)$/,
      /^package\/bin\/[\w-]+\.(js|d\.ts)$/,
      /^package\/Sources\/[\w/-]+\.(h|c|cpp|swift|modulemap)$/,
      // Standard headers of the shading languages have no extension.
      /^package\/Sources\/Simt\/shim\/[\w/-]+(\.inc)?$/,
      /^package\/(metal|hip)\/[\w/-]+\.(h|metal|hip|md)$/,
      // What `tilewright occupancy` shows.
      /^package\/hip\/resources\/gfx\w+\.tsv$/,
      // The compiled GPU kernels, where they were built before packing.
      /^package\/build\/hip\/bundle\/[\w./-]+$/,
    ];
    const files = await contents(main);
    expect(files.filter((file) => !allowed.some((pattern) => pattern.test(file)))).toEqual([]);
    for (const file of ['dist/ts/index.js', 'dist/ts/index.d.ts', 'bin/build-native.js', 'Makefile']) {
      expect(files).toContain(`package/${file}`);
    }
    const kernels = files.filter((file) => file.startsWith('package/build/')).sort();
    expect(kernels).toEqual(
      hasLlvm ? ['package/build/hip/bundle/gfx906/quantize.hsaco.br', 'package/build/hip/bundle/manifest.json'] : [],
    );
    const platformFiles = await contents(platform);
    expect(platformFiles.filter((file) => !/^package\/(LICENSE|README\.md)$/.test(file)).sort()).toEqual([
      'package/package.json',
      // On Apple Silicon the Metal bridge stands beside the CPU's binary.
      ...(process.platform === 'darwin' && process.arch === 'arm64' ? ['package/tilewright-metal.node'] : []),
      'package/tilewright.node',
    ]);
  });

  it('have no fault that publint knows', async () => {
    for (const tarball of [main, platform]) {
      const { ok, stdout, stderr } = await execute('node_modules/.bin/publint', ['run', '--strict', tarball]);
      expect(ok, stdout + stderr).toBe(true);
    }
  });

  it('have types that every kind of module resolution finds', async () => {
    const args = [main, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'];
    const { ok, stdout, stderr } = await execute('node_modules/.bin/attw', args);
    expect(ok, stdout + stderr).toBe(true);
  });
});

describe('an empty project with the package and its platform package', () => {
  let project: Project;
  beforeAll(async () => {
    project = await Project.create();
    await project.install(main, platform);
  });
  afterAll(() => project[Symbol.asyncDispose]());

  it('multiplies two matrices', async () => {
    expect(await project.node(MATMUL)).toEqual({ ok: true, stdout: PRODUCT, stderr: '' });
  });

  it('goes on to the platform package when TILEWRIGHT_NATIVE names no binary', async () => {
    expect(await project.node(MATMUL, { TILEWRIGHT_NATIVE: '/nowhere.node' })).toMatchObject({ stdout: PRODUCT });
  });

  it.each([
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ])(
    'type-checks with moduleResolution $moduleResolution, declarations of the package included',
    async (resolution) => {
      await project.write(
        'main.ts',
        `import { MatmulDispatcher, openDevice, quantize, TilewrightError, type Tensor } from 'tilewright';
       const device = await openDevice({ backend: 'cpu', threads: 1 });
       const a: Tensor = device.tensor(new Float32Array(4), { shape: [2, 2] });
       export const values: Float32Array = await (await new MatmulDispatcher(device).matmul({ a, b: a })).read();
       export const bytes: Uint8Array = quantize('q4_k', values);
       export const code: string = new TilewrightError('ERR_USAGE', 'as an example').code;
       // @ts-expect-error a back end that there is not: the types are not just any
       await openDevice({ backend: 'abacus' });
      `,
      );
      const compilerOptions = { ...resolution, target: 'es2022', strict: true, noEmit: true, skipLibCheck: false };
      const types = { types: ['node'], typeRoots: [join(process.cwd(), 'node_modules/@types')] };
      await project.write(
        'tsconfig.json',
        JSON.stringify({ compilerOptions: { ...compilerOptions, ...types }, files: ['main.ts'] }),
      );
      const { ok, stdout } = await execute('node_modules/.bin/tsc', ['-p', project.folder]);
      expect(ok, stdout).toBe(true);
    },
  );

  it('has the commands', async () => {
    const info: unknown = JSON.parse(await project.run('npx', '--no-install', 'tilewright', 'info', '--json'));
    expect(info).toBeTypeOf('object');
    expect(await project.run('npx', '--no-install', 'bench', '--help')).toContain('matmul');
  });
});

describe('an empty project with the package alone', () => {
  let project: Project;
  beforeAll(async () => {
    project = await Project.create();
    await project.install(main);
  });
  afterAll(() => project[Symbol.asyncDispose]());

  it('says every place where a binary may be and how to build one, and then builds it', async () => {
    const missing = await project.node(MATMUL, { TILEWRIGHT_NATIVE: '/nowhere.node' });
    expect(missing.ok).toBe(false);
    expect(missing.stderr).toContain('ERR_NATIVE_MISSING');
    const target = basename(platform).replace(/^tilewright-(.*)-\d+\.\d+\.\d+.*\.tgz$/, '$1');
    for (const place of [
      '/nowhere.node (TILEWRIGHT_NATIVE)',
      `node_modules/tilewright/build/${target}/tilewright.node (built in the package)`,
      `@tilewright/${target}/tilewright.node (platform package)`,
      `.cache/tilewright/`,
      'npm install --include=optional',
      'npx tilewright build',
    ]) {
      expect(missing.stderr).toContain(place);
    }

    // Whether it compiles and loads is the question here, not its speed.
    await project.run('env', 'CXXFLAGS=-O0', 'npx', '--no-install', 'tilewright', 'build', '--quiet');
    expect(await project.node(MATMUL)).toEqual({ ok: true, stdout: PRODUCT, stderr: '' });
  });
});

describe('npm pack in the checkout', () => {
  it('makes a tarball that works on this machine by itself', async () => {
    const before = await mustExecute('git', ['status', '--porcelain']);
    const args = ['pack', '--pack-destination', tarballs, '--silent'];
    const { ok, stdout, stderr } = await execute('npm', args, { env: { TILEWRIGHT_HIP_BUILD: 'none' } });
    expect(ok, stderr).toBe(true);
    // What a package goes without is said, also where npm itself is silent.
    expect(stderr).toContain('packed WITHOUT HIP kernels: TILEWRIGHT_HIP_BUILD is none');
    const name = stdout.trim().split('\n').at(-1)!;
    expect(await mustExecute('git', ['status', '--porcelain'])).toBe(before);

    await using project = await Project.create();
    await project.install(join(tarballs, name));
    expect(await project.node(MATMUL)).toEqual({ ok: true, stdout: PRODUCT, stderr: '' });
  });
});
