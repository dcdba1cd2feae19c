// Apple's GPUs as they were published: nothing here was measured by this package.
//
// Sources:
// [apple]  Apple's announcements and technical specifications (https://support.apple.com/specs): GPU cores and memory
//          bandwidth of each chip.
// [bench]  https://github.com/philipturner/metal-benchmarks (README): clocks of the M1 and M2 families, caches, rates of a
//          core, threads, registers and threadgroup memory of a core. Measured on the M1 and M2.
// [hmc]    https://hmc-tech.com/gpu (pages of the M3 and M4 GPUs): clocks that Apple does not publish. A third party's; the
//          M4 Pro is assumed to have the clock that the M5 was measured at (1.578 GHz), as that page has none for it.
// [agx]    https://github.com/dougallj/applegpu (register file): 128 registers of 32 bits for a thread.
import { TilewrightError } from '../errors.ts';

export type Tier = 'base' | 'pro' | 'max' | 'ultra';

/** An Apple GPU: what differs from chip to chip. */
export interface Chip {
  /** `m2-max`; a version with fewer cores than the largest has their number too: `m2-max-30`. */
  readonly name: string;
  /** As the device names itself. */
  readonly deviceName: string;
  readonly generation: number;
  readonly tier: Tier;
  /** `Capabilities.architecture`. */
  readonly architecture: string;
  readonly cores: number;
  readonly clockGhz: number;
  /** Of device memory, 10^9 bytes a second. */
  readonly bandwidthGbps: number;
  /** The cache that all of the chip shares. */
  readonly cacheBytes: number;
  /** The clock is no primary source's. */
  readonly assumedClock: boolean;
}

/** What all of these cores have in common: [bench], measured on the M1 and M2 and assumed of the later ones. */
export const CORE = {
  /** f32 and f16 multiply-adds a cycle: 4 pipes of 32 lanes. */
  fma: 128,
  pipes: 4,
  /** Cycles of a pipe for a product of two 8 by 8 matrices; f16 and f32 hardly differ (17 and 18). */
  mmaCycles: 18,
  /** Cycles of a pipe for the sum across a simdgroup. */
  simdSumCycles: 14.5,
  /** Bytes a cycle from threadgroup memory and the first cache. */
  onCoreBytes: 64,
  /** Bytes a cycle that one core draws from the second cache, where threadgroups side by side find each other's reads. */
  sharedBytes: 32,
  /** Bytes a cycle that one core draws from memory: the highest of the published figures (7.7 to 9.9). */
  memoryBytes: 9.9,
  /** Simdgroups that keep the arithmetic busy if each waits for its own results. */
  busySimdgroups: 24,
  /** Simdgroups that reside at once, if registers and threadgroup memory allow. */
  mostSimdgroups: 96,
  threadgroupBytes: 60 * 1024,
  registerBytes: 208 * 1024,
  /** Registers of a thread; what needs more is spilled. [agx] */
  threadRegisters: 128,
} as const;

const MIB = 2 ** 20;

/** Clock, caches and tiers of a generation. */
interface Generation {
  readonly generation: number;
  readonly architecture: string;
  readonly assumedClock: boolean;
  /** Tier, clock in GHz, MiB of cache, and [cores, GB/s] of its versions, largest last. */
  readonly tiers: readonly (readonly [Tier, number, number, readonly (readonly [number, number])[]])[];
}

// Clocks: [bench] up to the M2, [hmc] from the M3 on. Caches: [bench]; those of the M3 and M4 are taken from the M2 of the
// same tier. Cores and bandwidth: [apple].
const GENERATIONS: readonly Generation[] = [
  {
    ...{ generation: 1, architecture: 'apple7', assumedClock: false },
    tiers: [
      [
        'base',
        1.278,
        8,
        [
          [7, 68.25],
          [8, 68.25],
        ],
      ],
      [
        'pro',
        1.296,
        24,
        [
          [14, 200],
          [16, 200],
        ],
      ],
      [
        'max',
        1.296,
        48,
        [
          [24, 400],
          [32, 400],
        ],
      ],
      [
        'ultra',
        1.296,
        96,
        [
          [48, 800],
          [64, 800],
        ],
      ],
    ],
  },
  {
    ...{ generation: 2, architecture: 'apple8', assumedClock: false },
    tiers: [
      [
        'base',
        1.398,
        8,
        [
          [8, 100],
          [10, 100],
        ],
      ],
      [
        'pro',
        1.398,
        24,
        [
          [16, 200],
          [19, 200],
        ],
      ],
      [
        'max',
        1.398,
        48,
        [
          [30, 400],
          [38, 400],
        ],
      ],
      [
        'ultra',
        1.398,
        96,
        [
          [60, 800],
          [76, 800],
        ],
      ],
    ],
  },
  {
    ...{ generation: 3, architecture: 'apple9', assumedClock: true },
    tiers: [
      [
        'base',
        1.398,
        8,
        [
          [8, 100],
          [10, 100],
        ],
      ],
      [
        'pro',
        1.398,
        24,
        [
          [14, 150],
          [18, 150],
        ],
      ],
      [
        'max',
        1.398,
        48,
        [
          [30, 300],
          [40, 400],
        ],
      ],
      [
        'ultra',
        1.398,
        96,
        [
          [60, 819],
          [80, 819],
        ],
      ],
    ],
  },
  {
    ...{ generation: 4, architecture: 'apple9', assumedClock: true },
    tiers: [
      [
        'base',
        1.47,
        8,
        [
          [8, 120],
          [10, 120],
        ],
      ],
      [
        'pro',
        1.578,
        24,
        [
          [16, 273],
          [20, 273],
        ],
      ],
      [
        'max',
        1.678,
        48,
        [
          [32, 410],
          [40, 546],
        ],
      ],
    ],
  },
];

const TITLES: Readonly<Record<Tier, string>> = { base: '', pro: ' Pro', max: ' Max', ultra: ' Ultra' };

/** Every chip with each number of cores that it is sold with; the smallest first. */
export const CHIPS: readonly Chip[] = GENERATIONS.flatMap(({ generation, architecture, assumedClock, tiers }) =>
  tiers.flatMap(([tier, clockGhz, cacheMib, versions]) =>
    versions.map(([cores, bandwidthGbps], i) => {
      const family = `m${generation}${tier === 'base' ? '' : `-${tier}`}`;
      return Object.freeze({
        name: i === versions.length - 1 ? family : `${family}-${cores}`,
        deviceName: `Apple M${generation}${TITLES[tier]}`,
        ...{ generation, tier, architecture, cores, clockGhz, bandwidthGbps, assumedClock },
        cacheBytes: cacheMib * MIB,
      });
    }),
  ),
);

/**
 * A chip by name; the number of cores may be given for the largest version too, `m2-max-38`.
 * @throws ERR_USAGE
 */
export function chipNamed(name: string): Chip {
  const wanted = name
    .toLowerCase()
    .replace(/^apple[ -]/, '')
    .replaceAll(' ', '-');
  const chip = CHIPS.find((entry) => entry.name === wanted || `${entry.name}-${entry.cores}` === wanted);
  if (chip !== undefined) return chip;
  throw new TilewrightError(
    'ERR_USAGE',
    `No chip is called "${name}". Known: ${CHIPS.map((entry) => entry.name).join(', ')}.`,
  );
}
