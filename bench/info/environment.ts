import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { packageRoot, packageVersion } from '../../ts/backends/native.ts';
import type { Device } from '../../ts/device/device.ts';

/** Where a result was measured; part of every one, so that a file of results can be compared with another. */
export interface Environment {
  readonly tilewright: string;
  /** Git revision of the checkout, with `+` if files differ from it; null for an installed package. */
  readonly revision: string | null;
  readonly node: string;
  readonly platform: string;
  /** Release of the operating system, which names the drivers that come with it. */
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly backend: string;
  readonly device: string;
  readonly architecture: string;
  readonly computeUnits: number;
  /** Version of the GPU's driver, where it is a thing of its own and the back end tells. */
  readonly driver: string | null;
  readonly date: string;
}

export function environmentOf(device: Device): Environment {
  const { deviceName, architecture, computeUnits, driver } = device.capabilities;
  return {
    tilewright: packageVersion,
    revision: revision(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    system: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    backend: device.backend,
    device: deviceName,
    architecture,
    computeUnits,
    driver: driver ?? null,
    date: new Date().toISOString(),
  };
}

let known: string | null | undefined;

function revision(): string | null {
  if (known === undefined) known = existsSync(new URL('.git', packageRoot)) ? askGit() : null;
  return known;
}

function askGit(): string | null {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: fileURLToPath(packageRoot),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  try {
    return `${git('rev-parse', '--short=12', 'HEAD').trim()}${git('status', '--porcelain', '-uno') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
