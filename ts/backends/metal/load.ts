import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeCacheFolder, nativeTarget } from '#native-target';
import { TilewrightError } from '../../errors.ts';
import { type NativeAttempt, packageRoot, packageVersion } from '../native.ts';
import type { MetalBridge } from './bridge.ts';

/** The bridge's file, beside the CPU's addon in every place where that may be. */
export const BRIDGE_FILE = 'tilewright-metal.node';

/** Where a bridge for this machine may be, best first. */
export function bridgeCandidates(): readonly { readonly what: string; readonly path: string }[] {
  const target = nativeTarget();
  const override = process.env.TILEWRIGHT_METAL;
  const cache = nativeCacheFolder(packageVersion);
  return [
    ...(override ? [{ what: 'TILEWRIGHT_METAL', path: override }] : []),
    {
      what: 'built in the package',
      path: fileURLToPath(new URL(`build/${target}/${BRIDGE_FILE}`, packageRoot)),
    },
    { what: 'platform package', path: `@tilewright/${target}/${BRIDGE_FILE}` },
    ...(cache === null ? [] : [{ what: 'built in the cache folder', path: join(cache, BRIDGE_FILE) }]),
  ];
}

let bridge: MetalBridge | null = null;
const tried: NativeAttempt[] = [];

/** The places that the last {@link loadBridge} tried, in order. */
export function bridgeAttempts(): readonly NativeAttempt[] {
  return tried;
}

/**
 * Load the bridge, once.
 * @throws ERR_BACKEND_UNAVAILABLE with every place that was tried and what went wrong there.
 */
export function loadBridge(): MetalBridge {
  if (bridge !== null) return bridge;
  const require = createRequire(import.meta.url);
  tried.length = 0;
  for (const { what, path } of bridgeCandidates()) {
    try {
      const loaded = require(path) as Partial<MetalBridge>;
      if (typeof loaded.MetalDevice?.open !== 'function') {
        tried.push({ what, path, error: 'is no Metal bridge' });
        continue;
      }
      tried.push({ what, path, error: null });
      bridge = loaded as MetalBridge;
      return bridge;
    } catch (error) {
      tried.push({ what, path, error: (error as Error).message.split('\n')[0]! });
    }
  }
  const attempts = tried.map(({ what, path, error }) => `${path} (${what}): ${error}`);
  throw new TilewrightError(
    'ERR_BACKEND_UNAVAILABLE',
    `The Metal back end needs macOS 13 or later and its bridge; this is ${nativeTarget()}.\nLooked for:\n` +
      `${attempts.map((attempt) => `  - ${attempt}`).join('\n')}\n` +
      (process.platform === 'darwin'
        ? 'If optional packages were left out, reinstall with `npm install --include=optional`; or build it here with ' +
          '`npx tilewright build` (needs the Command Line Tools).'
        : "Use { backend: 'cpu' } or 'auto'."),
    { details: { attempts } },
  );
}
