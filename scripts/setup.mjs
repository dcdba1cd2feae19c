// Makes a checkout ready to run: dependencies, native addon, dist. Each step does nothing when nothing changed.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Failure, mustRun, npm, root, run, say, seconds, tool } from './steps.mjs';
import { build, needToolchain } from './toolchain.mjs';

const path = (name) => join(root, name);

function readJson(name) {
  try {
    return JSON.parse(readFileSync(path(name), 'utf8'));
  } catch {
    return null;
  }
}

/** npm writes what it installed into node_modules/.package-lock.json, and only when all of it is there. */
function dependenciesMissing() {
  const locked = readJson('package-lock.json').packages;
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  if (!installed) return 'node_modules is missing';
  const stale = Object.entries(locked).find(
    ([name, { version, optional }]) =>
      name !== '' && installed[name]?.version !== version && !(optional && installed[name] === undefined),
  );
  return stale === undefined ? null : `${stale[0]} is not of version ${stale[1].version}`;
}

async function installDependencies() {
  const reason = dependenciesMissing();
  if (reason === null) return;
  say(`installing dependencies with npm ci (${reason})`);
  const begin = performance.now();
  // No dependency needs an install script, and NODE_ENV=production must not leave the compiler out.
  const flags = ['--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const { ok, status, output } = await run(...npm('ci', ...flags));
  if (!ok) {
    throw new Failure(
      status === 'not found'
        ? 'npm was not found: install Node 20.19 or newer with npm.'
        : `${output}npm ci failed (${status}): it needs the npm registry, or what it caches.`,
    );
  }
  say(`dependencies installed in ${seconds(begin)}`);
}

async function buildAddon() {
  await needToolchain();
  let compiled = false;
  const begin = performance.now();
  await build({
    log(line) {
      compiled = true;
      say(`native addon: ${line}`);
    },
  });
  if (compiled) say(`native addon built in ${seconds(begin)}`);
}

function filesBelow(folder) {
  return readdirSync(path(folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Compiles ts/ and bench/ to dist/: only what changed, and nothing is left of a source that is gone. */
async function compileTypeScript() {
  const hash = createHash('sha256');
  const configuration = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map(path);
  for (const file of [...configuration, ...filesBelow('ts'), ...filesBelow('bench')]) {
    hash.update(`${file}\0`).update(readFileSync(file));
  }
  const digest = hash.digest('hex');
  const stamp = path('dist/.sources');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const begin = performance.now();
  say('compiling TypeScript to dist');
  rmSync(stamp, { force: true });
  const state = ['--incremental', '--tsBuildInfoFile', 'dist/.tsbuildinfo'];
  await mustRun('TypeScript', ...tool('tsc', '-p', 'tsconfig.build.json', ...state));
  for (const file of filesBelow('dist')) {
    const source = path(relative(path('dist'), file).replace(/(\.d\.ts|\.js)$/, '.ts'));
    if (!existsSync(source)) rmSync(file);
  }
  writeFileSync(stamp, digest);
  say(`TypeScript compiled in ${seconds(begin)}`);
}

/** What `npm start`, `npm test` and `npm pack` stand on; `sourcesOnly` leaves it at the dependencies. */
export async function setUp({ sourcesOnly = false } = {}) {
  const begin = performance.now();
  await installDependencies();
  if (!sourcesOnly) {
    await buildAddon();
    await compileTypeScript();
  }
  return seconds(begin);
}
