// Makes the tarballs that are published: the package, and the platform package of this machine. The checkout's
// package.json does not name the platform packages (docs/decisions/0001-native-packaging.md); the published one does.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBridge } from '../bin/build-bridge.js';
import { nativeTarget } from '../bin/native-target.js';
import { bundleKernels } from './kernels.mjs';
import { optionalDependencies, PLATFORMS, platformManifest, platformReadme } from './platforms.mjs';
import { setUp } from './setup.mjs';
import { Failure, main, mustRun, npm, root, say } from './steps.mjs';

const stages = join(root, 'build/stage');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);

function freshStage(name) {
  const stage = join(stages, name);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  return stage;
}

/** npm's list of what it packs or would pack; a list of one, or an object with one entry, as its version has it. */
async function npmPack(...args) {
  const output = await mustRun('npm pack', ...npm('pack', '--json', '--ignore-scripts', ...args), { stderr: false });
  return Object.values(JSON.parse(output))[0];
}

/** Of what is built, the package has what runs on any platform: the HIP kernels. */
const isPublished = (path) => !path.startsWith('build/') || path.startsWith('build/hip/bundle');

/** The package: the files that package.json names, but no binary. */
async function stagePackage() {
  await bundleKernels();
  const stage = freshStage('tilewright');
  const { files } = await npmPack('--dry-run');
  for (const { path } of files.filter(({ path }) => isPublished(path))) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    copyFileSync(join(root, path), join(stage, path));
  }
  const { devDependencies: _, scripts: __, files: listed, ...published } = manifest;
  writeJson(join(stage, 'package.json'), {
    ...published,
    files: listed.filter(isPublished),
    optionalDependencies: optionalDependencies(manifest.version),
  });
  return stage;
}

async function stagePlatform() {
  const target = nativeTarget();
  if (!Object.hasOwn(PLATFORMS, target)) throw new Failure(`There is no platform package for ${target}.`);
  const stage = freshStage(target);
  writeJson(join(stage, 'package.json'), platformManifest(target, manifest));
  writeFileSync(join(stage, 'README.md'), platformReadme(target));
  if (existsSync(join(root, 'LICENSE'))) cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
  const built = [join(root, `build/${target}/tilewright.node`)];
  if (PLATFORMS[target].metal) built.push(await buildBridge());
  for (const file of built) {
    const binary = join(stage, basename(file));
    copyFileSync(file, binary);
    await mustRun('strip', 'strip', [process.platform === 'darwin' ? '-x' : '--strip-unneeded', binary]);
  }
  return stage;
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'build/package' },
      only: { type: 'string' },
      'refuse-publish': { type: 'boolean', default: false },
    },
  });
  if (values['refuse-publish']) {
    throw new Failure('Publish the tarballs that `node scripts/pack.mjs` makes: docs/packaging.md says how.');
  }
  const kinds = { package: stagePackage, platform: stagePlatform };
  if (values.only !== undefined && !Object.hasOwn(kinds, values.only)) {
    throw new Failure('--only takes `package` or `platform`.');
  }
  await setUp();
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  for (const kind of values.only ? [values.only] : Object.keys(kinds)) {
    const { filename } = await npmPack(await kinds[kind](), '--pack-destination', out);
    // npm lists a scoped package's tarball by its package name in some versions.
    const file = join(out, filename.replace(/^@/, '').replace('/', '-'));
    say(`${Math.ceil(statSync(file).size / 1024)} KiB packed, without dependencies`);
    console.log(file);
  }
});
