import { TilewrightError } from '../../errors.ts';
import { imageProblem } from '../../hip/elf.ts';
import { type NativeGpu, nativeCall, nativeError } from '../native.ts';
import type { CodeObjects } from './objects.ts';
import type { PreparedLaunch } from './prepare.ts';

/** Functions of code objects, which are loaded when a launch first wants one. */
export class HipFunctions {
  readonly #gpu: NativeGpu;
  readonly #objects: CodeObjects;
  readonly #target: string;
  readonly #modules = new Map<string, Promise<number>>();
  /** By `PreparedLaunch.key`. */
  readonly #functions = new Map<string, number>();

  constructor(gpu: NativeGpu, objects: CodeObjects, target: string) {
    this.#gpu = gpu;
    this.#objects = objects;
    this.#target = target;
  }

  /** The number of a launch's function in the driver; undefined until it is loaded. */
  of({ key }: PreparedLaunch): number | undefined {
    return this.#functions.get(key);
  }

  /** @throws ERR_KERNEL_UNKNOWN, ERR_FILE */
  async load(missing: readonly PreparedLaunch[]): Promise<void> {
    for (const own of missing) {
      if (this.#functions.has(own.key)) continue;
      const object = this.#objects.find(own, this.#target);
      let module = this.#modules.get(object.key);
      if (module === undefined) {
        module = this.#loadModule(object);
        this.#modules.set(object.key, module);
        module.catch(() => this.#modules.delete(object.key));
      }
      const loaded = await module;
      this.#functions.set(
        own.key,
        nativeCall(() => this.#gpu.function(loaded, own.entry)),
      );
    }
  }

  async #loadModule({ key, bytes }: ReturnType<CodeObjects['find']>): Promise<number> {
    const image = await bytes();
    const problem = imageProblem(image);
    if (problem !== null) {
      throw new TilewrightError(
        'ERR_KERNEL_UNKNOWN',
        `The code object ${key} is damaged: ${problem}. Install it anew.`,
        {
          details: { object: key, target: this.#target },
        },
      );
    }
    try {
      return await this.#gpu.load(image);
    } catch (error) {
      throw nativeError(error);
    }
  }
}
