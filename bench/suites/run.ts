import { median } from 'd3-array';
import { environmentOf } from '../info/environment.ts';
import { LoadMeter } from '../limits/load.ts';
import { limitOf } from '../limits/roofline.ts';
import { medianOfRatios } from '../stats/bootstrap.ts';
import { summarize } from '../stats/summary.ts';
import { interleave, type Measured, samplesOf } from './interleave.ts';
import { clockOf, localSampler, type Sampler } from './measure.ts';
import type { Session } from './session.ts';
import type { Case, Suite, SuiteResult } from './suite.ts';

/** Measures one case on the session's device. */
export async function measureCase<Options, Fields>(
  session: Session,
  suite: Suite<Options, Fields>,
  subject: Case<Fields>,
): Promise<SuiteResult & Fields> {
  const { device, limits, effort } = session;
  const { name, operations, against, work } = subject;
  const label = `${suite.name} ${name}`;
  using _ = session.trace?.scope(label) ?? null;
  session.progress.update('measuring what the machine can do at most');
  const peakKind = subject.peakKind ?? 'f32';
  const peak = await limits.peak(peakKind);
  const launchMs = await limits.launchMs();
  const samplers: Sampler[] = [await localSampler(session, operations)];
  if (against !== undefined) samplers.push(await localSampler(session, against.operations));
  const load = new LoadMeter();
  const [own, other] = (await interleave(samplers, session, label)) as [Measured, Measured?];

  const { rounds, warmUp, before, after } = own;
  const ms = summarize(samplesOf(rounds), samplers[0]!.batch);
  const bandwidth = summarize([before.bandwidth, ...rounds.map((round) => round.bandwidth), after.bandwidth]);
  const clocks = [before, ...rounds, after].flatMap(({ clock }) => (clock === null ? [] : [clock]));
  const ceilings = {
    bandwidthGbps: bandwidth.p50,
    peakGops: peak?.gops ?? null,
    peakKind: peak?.kind ?? peakKind,
    launchMs,
  };
  const common: SuiteResult = {
    suite: suite.name,
    case: name,
    clock: clockOf(operations),
    threads: device.capabilities.computeUnits,
    isa: device.capabilities.architecture,
    ms,
    wallMs: summarize(rounds.flatMap(({ wall }) => wall)),
    gflops: (work?.operations ?? 0) / ms.p50 / 1e6,
    gbps: (work?.bytes ?? 0) / ms.p50 / 1e6,
    bytes: work?.bytes ?? 0,
    limit: work === null ? null : limitOf(work, ceilings, ms.p50),
    against:
      against === undefined || other === undefined
        ? null
        : {
            name: against.name,
            ms: summarize(samplesOf(other.rounds), samplers[1]!.batch),
            ratio: medianOfRatios(medians(own), medians(other)),
          },
    bandwidth,
    clockGops: clocks.length === 0 ? null : summarize(clocks),
    method: {
      rounds: rounds.length,
      batch: samplers[0]!.batch,
      copies: samplers[0]!.copies,
      quick: effort.quick,
      otherLoad: load.others(),
      warmUp,
      before,
      after,
    },
    environment: environmentOf(device),
  };
  return { ...common, ...subject.fields(ms.p50) };
}

const medians = ({ rounds }: Measured) => rounds.map(({ samples }) => median(samples)!);

/** Measures all cases of a suite, as they come. */
export async function* runCases<Options, Fields>(
  session: Session,
  suite: Suite<Options, Fields>,
  options: Options,
): AsyncGenerator<SuiteResult & Fields, void, undefined> {
  for await (const subject of suite.cases(session, options)) yield await measureCase(session, suite, subject);
}
