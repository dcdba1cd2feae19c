import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { TilewrightError } from '../../errors.ts';
import type { AnyHipKernel } from '../../kernels/hip/declare.ts';
import { packageRoot } from '../native.ts';

/** What is asked of a code object. */
export interface ObjectRequest {
  readonly kernel: AnyHipKernel;
  readonly format: string | null;
  /** Symbol that has to be in it. */
  readonly entry: string;
}

/** Compiled kernels for GPUs: those of the package, or a caller's own. */
export interface CodeObjects {
  /** GPU architectures that there are objects for. */
  readonly targets: readonly string[];
  /** Kernels beside the package's own. */
  readonly kernels?: readonly AnyHipKernel[];
  /** Whether a kernel was compiled for a target at all. */
  has(kernel: AnyHipKernel, target: string): boolean;
  /**
   * The object with a kernel's instance; `key` names it, so that each is loaded once.
   * @throws ERR_KERNEL_UNKNOWN
   */
  find(
    request: ObjectRequest,
    target: string,
  ): { readonly key: string; readonly bytes: () => Uint8Array | Promise<Uint8Array> };
}

/** One compiled file of `manifest.json`. */
export interface ManifestEntry {
  /** Relative to the manifest: `gfx906/gemv.q4_k.hsaco`, with `.br` behind it where it is compressed. */
  readonly file: string;
  readonly target: string;
  readonly kernels: readonly { readonly name: string }[];
}

/**
 * The target whose objects run on an architecture, or null. AMD's code objects run on the one chip that they are for;
 * NVIDIA's intermediate code (`sm_80`) on any later one as well.
 */
export function targetFor(architecture: string, targets: readonly string[]): string | null {
  if (targets.includes(architecture)) return architecture;
  const version = (name: string) => Number(/^sm_(\d+)$/.exec(name)?.[1] ?? Number.NaN);
  const own = version(architecture);
  const older = targets.filter((target) => version(target) <= own).sort((x, y) => version(y) - version(x));
  return older[0] ?? null;
}

/** A folder of compiled kernels with its manifest, as `npm run build:hip` makes it in `build/hip`. */
export class ObjectFolder implements CodeObjects {
  readonly targets: readonly string[];
  readonly #folder: string;
  readonly #entries = new Map<string, Map<string, ManifestEntry>>();
  readonly #sources = new Set<string>();

  /** @throws ERR_FILE if there is no manifest, or none that can be read. */
  constructor(folder: string) {
    this.#folder = folder;
    for (const entry of readManifest(join(folder, 'manifest.json'))) {
      const kernels = this.#entries.get(entry.target) ?? new Map<string, ManifestEntry>();
      this.#entries.set(entry.target, kernels);
      for (const { name } of entry.kernels) {
        const other = kernels.get(name);
        if (other !== undefined) throw twice(name, other, entry, folder);
        kernels.set(name, entry);
      }
      this.#sources.add(`${entry.target}/${basename(entry.file).split('.')[0]}.hip`);
    }
    this.targets = [...this.#entries.keys()].sort();
  }

  /** Where objects may be, best first: the folder that TILEWRIGHT_HIP_OBJECTS names, else the package's own. */
  static places(): readonly string[] {
    const named = process.env.TILEWRIGHT_HIP_OBJECTS;
    if (named) return [named];
    // A checkout has loose files, the package compressed ones.
    return ['build/hip', 'build/hip/bundle'].map((folder) => fileURLToPath(new URL(folder, packageRoot)));
  }

  /** The package's own objects. @throws ERR_BACKEND_UNAVAILABLE */
  static ofPackage(): ObjectFolder {
    const places = ObjectFolder.places();
    const found = places.find((folder) => existsSync(join(folder, 'manifest.json')));
    if (found !== undefined) return new ObjectFolder(found);
    throw new TilewrightError(
      'ERR_BACKEND_UNAVAILABLE',
      `The compiled GPU kernels are missing; looked for manifest.json in ${places.join(', ')}. ` +
        'A checkout makes them with `npm run build:hip`; or name their folder in TILEWRIGHT_HIP_OBJECTS.',
      { details: { places } },
    );
  }

  /** Symbols of the functions that a GPU architecture can run. */
  symbols(architecture: string): readonly string[] {
    return [...(this.#entries.get(targetFor(architecture, this.targets) ?? '')?.keys() ?? [])];
  }

  has(kernel: AnyHipKernel, target: string): boolean {
    return this.#sources.has(`${target}/${kernel.source}`);
  }

  find({ kernel, entry }: ObjectRequest, target: string) {
    const found = this.#entries.get(target)?.get(entry);
    if (found === undefined) {
      throw new TilewrightError(
        'ERR_KERNEL_UNKNOWN',
        `There is no ${entry} (kernel ${kernel.name}) among the code objects for ${target} in ${this.#folder}.`,
        { details: { kernel: kernel.name, entry, target, folder: this.#folder } },
      );
    }
    return { key: found.file, bytes: () => readObject(join(this.#folder, found.file)) };
  }
}

const twice = (name: string, one: ManifestEntry, other: ManifestEntry, folder: string) =>
  new TilewrightError(
    'ERR_FILE',
    `${folder} has two functions ${name} for ${one.target}, in ${one.file} and in ${other.file}. Compile all of it anew.`,
    { details: { folder, name, files: [one.file, other.file] } },
  );

const unpack = promisify(brotliDecompress);

async function readObject(path: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(path);
    return path.endsWith('.br') ? await unpack(bytes) : bytes;
  } catch (error) {
    throw new TilewrightError('ERR_FILE', `Cannot read the code object ${path}: ${(error as Error).message}.`, {
      details: { path },
      cause: error,
    });
  }
}

function readManifest(path: string): readonly ManifestEntry[] {
  let manifest: unknown;
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new TilewrightError('ERR_FILE', `Cannot read ${path}: ${(error as Error).message}.`, {
      details: { path },
      cause: error,
    });
  }
  const isEntry = (value: unknown): value is ManifestEntry => {
    const { file, target, kernels } = (value ?? {}) as Partial<ManifestEntry>;
    const named = Array.isArray(kernels) && kernels.every((kernel) => typeof kernel?.name === 'string');
    return typeof file === 'string' && typeof target === 'string' && named;
  };
  if (Array.isArray(manifest) && manifest.every(isEntry)) return manifest;
  throw new TilewrightError('ERR_FILE', `${path} is no list of code objects with file, target and kernels.`, {
    details: { path },
  });
}
