// Where Swift is: on this machine, or on Linux in a Debian folder that is made once and entered with chroot.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, run, say, seconds } from '../steps.mjs';
import { aptInstall, onPath } from '../toolchain.mjs';

/** node-swift needs it. */
const OLDEST_SWIFT = 6;
/** The Debian release whose Swift it is: Debian 12 has none. */
const SUITE = 'trixie';
const RECIPE = fileURLToPath(new URL('make-root.sh', import.meta.url));
/** Milliseconds for making the folder: a minute or two where the network is fast. */
const MAKE_TIMEOUT = 900_000;

/**
 * @typedef {object} Swift
 * @property {string | null} folder Debian folder to work in; null: this machine has Swift itself
 * @property {readonly string[]} [unshare] options of `unshare` that give a command mounts of its own here
 */

/**
 * How a command gets mounts that others do not see. In a chroot the root is no mount point and cannot be made private:
 * others may see the mounts there, and the command takes them away itself.
 */
const UNSHARE = [['--mount'], ['--mount', '--propagation', 'unchanged']];

/**
 * Finds Swift, or makes it available where that is possible.
 * @returns {Promise<Swift | string>} a text: why there is none
 */
export async function needSwift() {
  if (onPath('swift')) {
    const major = Number(/Swift version (\d+)/.exec((await run('swift', ['--version'])).output)?.[1]);
    if (major >= OLDEST_SWIFT) return { folder: null };
    if (process.platform === 'darwin') return `Swift ${OLDEST_SWIFT} is needed: update the Command Line Tools`;
  }
  if (process.platform === 'darwin') return 'install the Command Line Tools: xcode-select --install';
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `Swift ${OLDEST_SWIFT} is not on the PATH, and its set-up is for Linux on x64 only`;
  }
  if (process.getuid?.() !== 0) return `Swift ${OLDEST_SWIFT} is not on the PATH, and only root can set it up`;
  return await makeFolder();
}

async function makeFolder() {
  const folder =
    process.env.TILEWRIGHT_SWIFT_ROOT ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tilewright', `swift-${SUITE}`);
  const recipe = createHash('sha256').update(readFileSync(RECIPE)).digest('hex');
  const ready = join(folder, 'ready');
  const isReady = () => existsSync(ready) && readFileSync(ready, 'utf8').trim() === recipe;
  // Asked first, as making the folder would be in vain.
  let unshare;
  for (const options of UNSHARE) {
    if (unshare === undefined && (await run('unshare', [...options, 'true'])).ok) unshare = options;
  }
  if (unshare === undefined) return 'Swift is not on the PATH, and this machine does not let root mount folders for it';
  if (isReady()) return { folder, unshare };
  if (!onPath('debootstrap')) {
    const problem = await aptInstall(['debootstrap']);
    if (problem !== null) return `Swift is not on the PATH, and its set-up needs debootstrap: ${problem}`;
  }
  const mirror = await debianMirror();
  if (mirror === null) return 'Swift is not on the PATH, and apt knows no mirror of Debian to set it up from';
  say(`setting up Swift from Debian ${SUITE} in ${folder} (3 GB; once)`);
  const begin = performance.now();
  mkdirSync(dirname(folder), { recursive: true });
  // One at a time: others wait, and then find it ready.
  const make = ['-c', `[ "$(cat "$1/ready" 2>/dev/null)" = "$4" ] || exec sh "$0" "$1" "$2" "$3"`, RECIPE, folder];
  const { ok, output } = await run('flock', [`${folder}.lock`, 'sh', ...make, mirror, SUITE, recipe], {
    timeout: MAKE_TIMEOUT,
  });
  if (!ok || !isReady()) {
    const last = output.trim().split('\n').slice(-3).join(' | ');
    return `Swift is not on the PATH, and setting it up from Debian failed: ${last}`;
  }
  say(`Swift set up in ${seconds(begin)}`);
  return { folder, unshare };
}

/** The mirror that this machine's apt uses for Debian itself. */
async function debianMirror() {
  const { ok, output } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  if (!ok) return null;
  return output.split('\n').find((uri) => /^https?:\/\/.*\/debian\/?$/.test(uri)) ?? null;
}

/** Enters the folder for one command, with mounts that are gone when it ends. */
const ENTER = `
  set -e
  folder=$1 checkout=$2 mounts=$3
  shift 3
  mkdir -p "$folder$checkout"
  [ "$mounts" = own ] || trap 'umount "$folder$checkout" "$folder/dev" "$folder/proc" 2>/dev/null || true' EXIT
  mount --bind /proc "$folder/proc"
  mount --bind /dev "$folder/dev"
  mount --bind "$checkout" "$folder$checkout"
  set -- chroot "$folder" /bin/sh -c 'cd "$0" && exec "$@"' "$checkout" "$@"
  [ "$mounts" != own ] || exec "$@"
  "$@"
`;

/** Command and arguments that run a command where Swift is, in the checkout. */
export function withSwift(swift, command, ...args) {
  if (swift.folder === null) return [command, args];
  const mounts = swift.unshare === UNSHARE[0] ? 'own' : 'shared';
  const enter = ['sh', '-c', ENTER, 'enter', swift.folder, root.replace(/\/$/, ''), mounts, command, ...args];
  return ['unshare', [...swift.unshare, ...enter]];
}

/** What the environment of such a command has to differ in. */
export function swiftEnvironment(swift) {
  if (swift.folder === null) return {};
  return {
    HOME: '/root',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    // What this machine's tools cached may not run in there, nor the other way round.
    TILEWRIGHT_CACHE: '/root/.cache/tilewright',
    XDG_CACHE_HOME: '/root/.cache',
  };
}
