// The least times of matmuls on this machine's own devices, from their measured limits.
import { openDevice } from '../../ts/backends/open.ts';
import { estimateRoofline, type PlainMatmul, plainProblem, type RooflineEstimate } from '../../ts/cost/index.ts';
import { matmulCatalogue } from '../../ts/dispatch/catalogues.ts';
import { Limits } from '../limits/limits.ts';

/** Rows of `a` that a kernel multiplies each time that it reads the weights; the others reuse them from their caches. */
const ROWS_PER_PASS: Readonly<Record<string, number>> = {
  gemv: 8,
  quant_gemv: 16,
  hip_gemv: 8,
  hip_gemv_dense: 8,
};
/** Bandwidth is the median of so many probes. */
const PROBES = 5;

export interface LeastTime {
  readonly kernel: string;
  /** The dispatcher takes it. */
  readonly chosen: boolean;
  readonly estimate: RooflineEstimate;
}
export interface LeastTimes extends PlainMatmul {
  readonly device: string;
  readonly bandwidthGbps: number;
  readonly launchMs: number;
  readonly kernels: readonly LeastTime[];
}

/** Every kernel that may run, by what the device's own limits allow at best. */
export async function leastTimes(
  backend: 'cpu' | 'hip',
  matmuls: readonly PlainMatmul[],
  quick: boolean,
): Promise<LeastTimes[]> {
  await using device = await openDevice({ backend });
  using limits = new Limits(device, undefined, quick);
  const catalogue = matmulCatalogue(device.backend);
  const tuning = catalogue.defaultTuning(device.capabilities);
  const samples: number[] = [];
  for (let i = 0; i < PROBES; i++) {
    const { totalMs } = await device.submit([limits.probe.command]);
    samples.push(limits.probe.gbps(totalMs));
  }
  const bandwidthGbps = samples.sort((x, y) => x - y)[PROBES >> 1]!;
  const launchMs = await limits.launchMs();
  const found: LeastTimes[] = [];
  for (const matmul of matmuls) {
    const problem = plainProblem(matmul);
    const legal = catalogue.candidates.filter(
      ({ refuse, variant }) => variant !== 'Reference' && refuse(problem, device.capabilities) === null,
    );
    const taken = legal.find(({ yields }) => yields(problem, tuning, device.capabilities) === null) ?? legal[0];
    const kernels: LeastTime[] = [];
    for (const candidate of legal) {
      const { kernel } = candidate;
      // Kernels of this name round activations to 8 bits.
      const peak = await limits.peak(/^quant_|^hip_gem[mv]$/.test(kernel) ? 'int8' : 'f32');
      const rowsPerPass = ROWS_PER_PASS[kernel] ?? Number.POSITIVE_INFINITY;
      const ceilings = { bandwidthGbps, peakGops: peak?.gops ?? null, launchMs };
      const estimate = estimateRoofline(problem, ceilings, { rowsPerPass });
      kernels.push({ kernel, chosen: candidate === taken, estimate });
    }
    kernels.sort((x, y) => x.estimate.ms - y.estimate.ms);
    const { deviceName } = device.capabilities;
    found.push({ ...matmul, device: `${backend}: ${deviceName}`, bandwidthGbps, launchMs, kernels });
  }
  return found;
}
