// How many waves of a kernel fit a SIMD, and what stops more: registers, LDS or the hardware's slots. Tables of LLVM's
// AMDGPU backend.

export interface RegisterFile {
  readonly waveSize: 32 | 64;
  /** Vector registers per lane of a SIMD, and the unit in which a wave gets them. */
  readonly registers: number;
  readonly granule: number;
  /** The waves of a SIMD share its scalar registers, too; later GPUs give each wave all that it can name. */
  readonly sharesScalars: boolean;
  /** Most waves of a SIMD. */
  readonly waves: number;
  /** SIMDs that share the LDS of `ldsBytes`, and the workgroups of several waves that they have barriers for. */
  readonly simds: number;
  readonly barriers: number;
  readonly ldsBytes: number;
}

const GCN: RegisterFile = {
  waveSize: 64,
  registers: 256,
  granule: 4,
  sharesScalars: true,
  waves: 10,
  simds: 4,
  barriers: 16,
  ldsBytes: 65536,
};
const CDNA2: RegisterFile = { ...GCN, registers: 512, granule: 8, waves: 8 };
const RDNA2: RegisterFile = {
  ...{ waveSize: 32, registers: 1024, granule: 16, sharesScalars: false, waves: 16 },
  ...{ simds: 4, barriers: 32, ldsBytes: 131072 },
};
const RDNA3: RegisterFile = { ...RDNA2, registers: 1536, granule: 24 };
/** Chips of the gfx11 family with the smaller register file. */
const RDNA3_SMALL: RegisterFile = RDNA2;

export const REGISTER_FILES: Readonly<Record<string, RegisterFile>> = {
  gfx906: GCN,
  gfx908: GCN,
  gfx90a: CDNA2,
  gfx942: CDNA2,
  gfx1030: RDNA2,
  gfx1100: RDNA3,
  gfx1101: RDNA3,
  gfx1102: RDNA3_SMALL,
  gfx1150: RDNA3_SMALL,
  gfx1151: RDNA3,
  gfx1200: RDNA3,
  gfx1201: RDNA3,
};

export interface Occupancy {
  readonly waves: number;
  readonly limit: 'registers' | 'LDS' | 'slots';
}

/** What a kernel takes: registers of a lane and of a wave, threads of a workgroup, and `lds` bytes for all of them. */
export interface Taken {
  readonly vgpr: number;
  readonly sgpr: number;
  readonly lds: number;
  readonly threads: number;
}

/** Waves whose scalar registers a SIMD of the gfx9 family holds. */
const wavesByScalars = (sgpr: number): number => (sgpr <= 80 ? 10 : sgpr <= 88 ? 9 : sgpr <= 100 ? 8 : 7);

export function occupancy(target: string, { vgpr, sgpr, lds, threads }: Taken): Occupancy {
  const file = REGISTER_FILES[target];
  if (file === undefined) throw new RangeError(`the register file of ${target} is not known`);
  const granted = Math.max(file.granule, Math.ceil(vgpr / file.granule) * file.granule);
  const byScalars = file.sharesScalars ? wavesByScalars(sgpr) : Number.POSITIVE_INFINITY;
  const byRegisters = Math.min(Math.floor(file.registers / granted), byScalars);
  const wavesPerGroup = Math.ceil(threads / file.waveSize);
  const byLds = lds === 0 ? Number.POSITIVE_INFINITY : (Math.floor(file.ldsBytes / lds) * wavesPerGroup) / file.simds;
  const slots = wavesPerGroup > 1 ? Math.min(file.waves, (file.barriers * wavesPerGroup) / file.simds) : file.waves;
  const waves = Math.min(slots, byRegisters, Math.max(1, Math.floor(byLds)));
  if (waves === slots) return { waves, limit: 'slots' };
  return { waves, limit: byRegisters <= byLds ? 'registers' : 'LDS' };
}
