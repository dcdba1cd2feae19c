import { TilewrightError } from '../../errors.ts';
import type { CodeObjects } from './objects.ts';

export interface HipOptions {
  /**
   * The driver's library, a path or a name; defaults to TILEWRIGHT_GPU_DRIVER, else to AMD's (libamdhip64.so.7, .6, .5)
   * and NVIDIA's (libcuda.so.1), whichever has a device.
   */
  readonly driver?: string | undefined;
  /** Which of the driver's devices, counted from 0. Defaults to 0. */
  readonly device?: number | undefined;
  /** Seconds after which a command list that has not ended counts as lost, 1 to 86400. Defaults to 120. */
  readonly timeoutSeconds?: number | undefined;
  /** Code objects; defaults to those of the package. */
  readonly objects?: CodeObjects | undefined;
}

const whole = (from: number, to: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to;

const isObjects = (value: unknown): boolean => {
  const { targets, has, find } = (value ?? {}) as Partial<CodeObjects>;
  return Array.isArray(targets) && typeof has === 'function' && typeof find === 'function';
};

const RULES: Readonly<Record<keyof HipOptions, readonly [(value: unknown) => boolean, string]>> = {
  driver: [(value) => typeof value === 'string', 'the path or name of a library'],
  device: [whole(0, 1023), 'a whole number from 0 to 1023'],
  timeoutSeconds: [whole(1, 86400), 'a whole number from 1 to 86400'],
  objects: [isObjects, 'an object with `targets`, `has` and `find`'],
};

/** @throws ERR_INVALID_ARGUMENT for options of another type or range: they are no reason to try the next back end. */
export function checkOptions(options: unknown): asserts options is HipOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', `\`hip\` is an object with options, not ${String(options)}.`);
  }
  for (const [name, [fits, what]] of Object.entries(RULES)) {
    const value: unknown = Reflect.get(options, name);
    if (value === undefined || fits(value)) continue;
    throw new TilewrightError('ERR_INVALID_ARGUMENT', `\`hip.${name}\` is ${what}, not ${String(value)}.`);
  }
}
