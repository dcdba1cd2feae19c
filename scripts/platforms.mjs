// The platform packages: the CPU's binary, and on Apple Silicon the Metal bridge beside it. What they have in common stands here once, and nothing of them in the checkout.

/** The platforms that have prebuilt binaries, by the name that bin/native-target.js gives them. */
export const PLATFORMS = {
  'darwin-arm64': { os: 'darwin', cpu: 'arm64', metal: true },
  'darwin-x64': { os: 'darwin', cpu: 'x64' },
  'linux-arm64': { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'linux-arm64-musl': { os: 'linux', cpu: 'arm64', libc: 'musl' },
  'linux-x64': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'linux-x64-musl': { os: 'linux', cpu: 'x64', libc: 'musl' },
};

const nameOf = (target) => `@tilewright/${target}`;

/** What the published package.json adds: every platform package, at exactly the package's own version. */
export function optionalDependencies(version) {
  return Object.fromEntries(Object.keys(PLATFORMS).map((target) => [nameOf(target), version]));
}

/** package.json of a platform package, from the package's own. */
export function platformManifest(target, { version, license, engines, publishConfig }) {
  const { os, cpu, libc } = PLATFORMS[target];
  return {
    name: nameOf(target),
    version,
    description: `Native ${PLATFORMS[target].metal ? 'binaries' : 'binary'} of tilewright for ${target}`,
    license,
    main: 'tilewright.node',
    files: ['*.node'],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    engines,
    // Yarn must not leave it in a zip: the system's loader opens files only.
    preferUnplugged: true,
    publishConfig,
  };
}

export function platformReadme(target) {
  const what = PLATFORMS[target].metal ? 'native binary and the Metal bridge' : 'native binary';
  return `# ${nameOf(target)}\n\nThe ${what} of [tilewright](https://www.npmjs.com/package/tilewright) for ${target}.\nInstall \`tilewright\`; it brings this package along where it fits.\n`;
}
