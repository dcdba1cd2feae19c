import { TilewrightError } from '../../errors.ts';
import type { AnyMetalKernel } from '../../kernels/metal/declare.ts';
import { bridgeError, type LibraryOptions, type MetalBridgeDevice } from './bridge.ts';
import { inlineSource, librarySource } from './sources.ts';

/** What names a pipeline. */
interface Wanted {
  readonly kernel: AnyMetalKernel;
  readonly entry: string;
  readonly constants: Uint8Array;
}

/** Libraries and pipelines of one device: each is compiled once, when it is first wanted. */
export class Pipelines {
  readonly #device: MetalBridgeDevice;
  /** By file of the package, or by the text that a kernel brings. */
  readonly #libraries = new Map<string, Promise<number>>();
  readonly #pipelines = new Map<string, number | Promise<number>>();

  constructor(device: MetalBridgeDevice) {
    this.#device = device;
  }

  /** The pipeline's id, or a promise of it while it is being compiled. */
  find(wanted: Wanted): number | Promise<number> {
    const { kernel, entry, constants } = wanted;
    const words = new Uint32Array(constants.buffer, constants.byteOffset, constants.byteLength / 4);
    const key = `${kernel.text ?? kernel.source}\n${entry}\n${words.join()}`;
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline = this.#compile(wanted);
    this.#pipelines.set(key, pipeline);
    pipeline.then(
      (id) => this.#pipelines.set(key, id),
      // What failed may be tried again: memory may be there then.
      () => this.#pipelines.delete(key),
    );
    return pipeline;
  }

  async #compile({ kernel, entry, constants }: Wanted): Promise<number> {
    const library = await this.#library(kernel);
    try {
      return await this.#device.pipeline(library, entry, constants);
    } catch (error) {
      throw bridgeError(error);
    }
  }

  #library(kernel: AnyMetalKernel): Promise<number> {
    const key = kernel.text ?? kernel.source;
    let library = this.#libraries.get(key);
    if (library === undefined) {
      library = this.#compileLibrary(kernel);
      this.#libraries.set(key, library);
      library.catch(() => this.#libraries.delete(key));
    }
    return library;
  }

  async #compileLibrary({ source, text }: AnyMetalKernel): Promise<number> {
    const whole = text === undefined ? librarySource(source) : inlineSource(source, text);
    const options: LibraryOptions = { label: source };
    try {
      return await this.#device.library(whole, JSON.stringify(options));
    } catch (error) {
      const failure = bridgeError(error);
      if (failure.code !== 'ERR_KERNEL_COMPILE' || text === undefined) throw failure;
      throw new TilewrightError(
        'ERR_KERNEL_COMPILE',
        `${source} does not compile:\n${withLines(failure.message, source, text)}`,
        { details: failure.details, cause: error },
      );
    }
  }
}

/** The compiler's messages, each followed by the line of the source that it is about. */
function withLines(messages: string, name: string, text: string): string {
  const lines = text.split('\n');
  return messages
    .split('\n')
    .map((message) => {
      const at = message.lastIndexOf(`${name}:`, message.indexOf(': '));
      const row = at === -1 ? undefined : /^(\d+)/.exec(message.slice(at + name.length + 1))?.[1];
      const line = row === undefined ? undefined : lines[Number(row) - 1];
      return line === undefined ? message : `${message}\n  ${row} | ${line}`;
    })
    .join('\n');
}
