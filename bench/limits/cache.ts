import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Where the machine does not tell: as large as a desktop's or a small server's. */
const UNKNOWN_CACHE_BYTES = 64 << 20;

/** Bytes of the largest cache that a core of this machine reads through. */
export function lastLevelCacheBytes(): number {
  try {
    return (process.platform === 'darwin' ? fromSysctl() : fromSysfs()) || UNKNOWN_CACHE_BYTES;
  } catch {
    return UNKNOWN_CACHE_BYTES;
  }
}

function fromSysfs(): number {
  const folder = '/sys/devices/system/cpu/cpu0/cache';
  const sizes = readdirSync(folder)
    .filter((name) => /^index\d+$/.test(name))
    .map((name) => parseSize(readFileSync(`${folder}/${name}/size`, 'utf8')));
  return Math.max(0, ...sizes);
}

/** Sizes as sysfs writes them: `32768K`. */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+)([KMG]?)\s*$/.exec(text) ?? [];
  if (digits === undefined) return 0;
  return Number(digits) * { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit as '' | 'K' | 'M' | 'G'];
}

function fromSysctl(): number {
  const keys = ['hw.l3cachesize', 'hw.perflevel0.l2cachesize', 'hw.l2cachesize'];
  const values = execFileSync('sysctl', ['-i', '-n', ...keys], { encoding: 'utf8' });
  return Math.max(0, ...values.split('\n').map(Number).filter(Number.isFinite));
}
