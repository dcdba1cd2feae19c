// Names and places of native binaries, shared by the loader (ts/backends/native.ts), the build and the packaging.
import { homedir } from 'node:os';
import { join } from 'node:path';

/** musl and glibc binaries do not mix. Node reports the glibc that it runs on, and none where there is none. */
function musl() {
  if (process.platform !== 'linux') return false;
  // The report looks up the host of every open socket unless told not to.
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report);
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = /** @type {any} */ (report.getReport());
  report.excludeNetwork = before;
  return header.glibcVersionRuntime === undefined;
}

let target;

/** This machine's binaries: `linux-x64`, `linux-arm64-musl`, `darwin-arm64`, …: a folder of build/ and a package of @tilewright. */
export function nativeTarget() {
  target ??= `${process.platform}-${process.arch}${musl() ? '-musl' : ''}`;
  return target;
}

/** The package's folder among the user's caches; null if there is no home. */
export function cacheFolder() {
  try {
    const caches =
      process.env.XDG_CACHE_HOME ||
      join(homedir(), ...(process.platform === 'darwin' ? ['Library', 'Caches'] : ['.cache']));
    return join(caches, 'tilewright');
  } catch {
    return null;
  }
}

/** Where a binary goes that was built for a package whose own folder cannot be written; null if there is no home. */
export function nativeCacheFolder(version) {
  const folder = cacheFolder();
  return folder === null ? null : join(folder, version, nativeTarget());
}
