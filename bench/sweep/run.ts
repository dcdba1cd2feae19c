// `bench sweep`: measures studies, decides, checks what was decided against the defaults, and writes the tuning table.
import { mean, median } from 'd3-array';
import { matmulCatalogue } from '../../ts/dispatch/catalogues.ts';
import type { TuningLimits } from '../../ts/dispatch/tuning.ts';
import {
  readTuningTable,
  sameKey,
  saveTuned,
  type TuningEvidence,
  type TuningKey,
  type TuningRecord,
  tuningKey,
} from '../../ts/dispatch/tuning-table.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { environmentOf } from '../info/environment.ts';
import { ratio } from '../report/format.ts';
import { medianOfRatios, type Ratio } from '../stats/bootstrap.ts';
import { normals } from '../stats/random.ts';
import type { Session } from '../suites/session.ts';
import { skipping } from '../suites/skip.ts';
import { WeightCopies } from '../suites/weights.ts';
import { measurePasses } from './measure.ts';
import { Pace } from './pace.ts';
import { type Ranker, rankedOrder } from './rank.ts';
import { bestOf, crossOverOf, type Rounds, scoreOf, survivors } from './search.ts';
import { argsOf, type Configuration, Dispatchers, Form, type SweepShape, shapeName, signatureOf } from './shape.ts';
import {
  type CrossOverStudy,
  combinations,
  entriesOf,
  refusal,
  type SizeStudy,
  type Study,
  studiesOf,
} from './space.ts';
import { digest, SweepState, statePath, type UnitResult } from './state.ts';

export interface SweepOptions {
  readonly shapes: readonly SweepShape[];
  /** Only studies whose names contain this. */
  readonly only: string;
  /** Neither the model nor the first rounds leave anything out. */
  readonly exhaustive: boolean;
  /** Forget what an earlier run measured. */
  readonly fresh: boolean;
  /** Passes of the final check. */
  readonly passes: number;
  readonly ranker: Ranker;
  /** The tuning table's file. */
  readonly table: string;
  /** Keep what was found; short runs that only show that everything works do not. */
  readonly save: boolean;
  /** For tests: told when a unit has been measured and kept. */
  readonly onUnit?: (unit: string) => void;
}

/** What may not run, and why. */
export interface Refusal {
  readonly shape: string;
  readonly configuration: Configuration;
  readonly reason: string;
}

/** A study as it would run. */
export interface PlannedStudy {
  readonly study: string;
  readonly shapes: readonly string[];
  /** In the order in which they are measured, the default first. */
  readonly configurations: readonly { readonly configuration: Configuration; readonly estimateMs: number | null }[];
  readonly refused: readonly Refusal[];
  /** Left out because the model expects them to be slow. */
  readonly pruned: readonly Configuration[];
}

export interface StudyOutcome extends PlannedStudy {
  /** What is better than the default; empty if nothing is. */
  readonly chosen: Configuration;
  /** Time by that of the default, the geometric mean over the shapes. */
  readonly ratio: number;
}

/** One configuration at one shape. */
export interface Measurement {
  readonly study: string;
  readonly shape: SweepShape;
  readonly configuration: Configuration;
  /** Median of the rounds. */
  readonly ms: number;
  readonly rounds: number;
}

export interface DroppedEntry {
  readonly entry: string;
  readonly value: number;
  readonly reason: string;
}

export interface SweepResult {
  readonly key: TuningKey;
  readonly table: string;
  /** Whether the table has it now. */
  readonly saved: boolean;
  readonly resumedUnits: number;
  readonly studies: readonly StudyOutcome[];
  readonly measurements: readonly Measurement[];
  /** Entries that were chosen and then not kept. */
  readonly dropped: readonly DroppedEntry[];
  /** The default against the tuned choice, at every shape where they differ. */
  readonly evidence: readonly TuningEvidence[];
  readonly tuning: Configuration;
  readonly record: TuningRecord;
}

/** Passes of each rung, by which the first third, ninth … of the configurations are found. */
const RUNGS = [3, 6, 12];
const EXHAUSTIVE_RUNGS = [12];
const CROSS_OVER_PASSES = 9;
/** Passes that a study's choice is measured in again before the next study builds on it. */
const CONFIRM_PASSES = 20;

export class Sweep implements Disposable {
  readonly #session: Session;
  readonly #options: SweepOptions;
  readonly #limits: TuningLimits;
  readonly #dispatchers: Dispatchers;
  readonly #forms = new Map<SweepShape, Form>();
  readonly #key: TuningKey;
  readonly #measurements: Measurement[] = [];
  readonly #pace = new Pace();
  /** What was decided so far. */
  #base: Configuration = {};
  #state: SweepState | null = null;
  #weights: { readonly name: string; readonly copies: WeightCopies } | null = null;

  constructor(session: Session, options: SweepOptions) {
    this.#session = session;
    this.#options = options;
    const { device } = session;
    this.#limits = matmulCatalogue(device.backend).limits;
    this.#dispatchers = new Dispatchers(device);
    this.#key = tuningKey(device.capabilities);
    for (const shape of options.shapes) {
      const form = new Form(device, shape);
      const taken = skipping(session, shapeName(shape), () => this.#dispatchers.of({}).select(form.args));
      if (taken === null) form[Symbol.dispose]();
      else this.#forms.set(shape, form);
    }
  }

  get #shapes(): SweepShape[] {
    return [...this.#forms.keys()];
  }
  #studies(): readonly Study[] {
    const all = studiesOf(this.#session.device.capabilities, this.#limits, this.#shapes);
    return all.filter(({ name }) => name.includes(this.#options.only));
  }

  /** What a sweep would do, without measuring. */
  plan(): PlannedStudy[] {
    return this.#studies().flatMap((study) => {
      const { planned } = this.#prepare(study);
      return planned.shapes.length === 0 || planned.configurations.length < 2 ? [] : [planned];
    });
  }

  async run(): Promise<SweepResult> {
    const { fresh, table, shapes, only, exhaustive, passes } = this.#options;
    const { quick } = this.#session.effort;
    const { revision } = environmentOf(this.#session.device);
    const path = statePath(table, this.#key, [shapes, only, exhaustive, passes]);
    this.#state = new SweepState(path, { key: this.#key, revision, quick }, fresh);
    const studies = this.#studies();
    for (const study of studies) this.#pace.expect(study.name, this.#expected(study));
    const outcomes: StudyOutcome[] = [];
    const dropped: DroppedEntry[] = [];
    for (const study of studies) {
      const outcome = await this.#study(study);
      this.#pace.expect(study.name, 0);
      if (outcome === null) continue;
      outcomes.push(outcome);
      const doubt = await this.#doubt(study, outcome.chosen);
      if (doubt === null) this.#base = { ...this.#base, ...outcome.chosen };
      else for (const [entry, value] of Object.entries(outcome.chosen)) dropped.push({ entry, value, reason: doubt });
    }
    const { tuning, evidence } = await this.#verify(this.#base, dropped);
    const record = this.#record(studies, tuning, evidence);
    if (this.#options.save) await saveTuned(table, record);
    this.#state.remove();
    return {
      key: this.#key,
      table,
      saved: this.#options.save,
      resumedUnits: this.#state.resumed,
      studies: outcomes,
      measurements: this.#measurements,
      dropped,
      evidence,
      tuning,
      record,
    };
  }

  /** What earlier sweeps of other shapes found stays, as far as this one was not about it. */
  #record(studies: readonly Study[], tuning: Configuration, evidence: readonly TuningEvidence[]): TuningRecord {
    let before: TuningRecord | undefined;
    try {
      before = readTuningTable(this.#options.table)?.records.find(({ key }) => sameKey(key, this.#key));
    } catch (error) {
      if (!(error instanceof TilewrightError)) throw error;
    }
    const swept = new Set(studies.flatMap(entriesOf));
    const kept = Object.entries(before?.tuning ?? {}).filter(([name]) => !swept.has(name));
    const all = { ...Object.fromEntries(kept), ...tuning };
    const cases = new Set(this.#shapes.map(shapeName));
    const older = (before?.evidence ?? []).filter(
      (one) => !cases.has(one.case) && one.entries.every((name) => Object.hasOwn(all, name)),
    );
    return {
      key: this.#key,
      created: new Date().toISOString(),
      tuning: all,
      evidence: [...older, ...evidence],
    };
  }

  #rungs(): readonly number[] {
    if (this.#session.effort.quick) return [1, 1];
    return this.#options.exhaustive ? EXHAUSTIVE_RUNGS : RUNGS;
  }

  /** Launches of a configuration at a shape. */
  #signature(shape: SweepShape, configuration: Configuration): string {
    const dispatcher = this.#dispatchers.of(configuration);
    return signatureOf(dispatcher.encode(this.#forms.get(shape)!.args).commands);
  }

  /** Legality and the model's estimates of a study, before anything runs. */
  #prepare(study: Study): Prepared {
    return study.type === 'cross-over' ? this.#prepareCrossOver(study) : this.#prepareSizes(study);
  }

  #prepareCrossOver({ name, entry, shapes }: CrossOverStudy): Prepared {
    const [low, high] = this.#limits[entry]!;
    const configurations = [{ [entry]: high }, { [entry]: low }];
    const signatures = configurations.map((configuration) =>
      shapes.map((shape) => this.#signature(shape, { ...this.#base, ...configuration })),
    );
    // Where neither changes anything there is nothing to decide.
    const differing = shapes.flatMap((shape, i) => (signatures[0]![i] === signatures[1]![i] ? [] : [{ shape, i }]));
    return {
      configurations,
      shapes: differing.map(({ shape }) => shape),
      signatures: signatures.map((of) => differing.map(({ i }) => of[i]!)),
      planned: {
        study: name,
        shapes: differing.map(({ shape }) => shapeName(shape)),
        configurations: configurations.map((configuration) => ({
          configuration,
          estimateMs: this.#estimate(configuration, shapes),
        })),
        refused: [],
        pruned: [],
      },
    };
  }

  #prepareSizes(study: SizeStudy): Prepared {
    const { device } = this.#session;
    const { exhaustive } = this.#options;
    const base = this.#dispatchers.of(this.#base);
    const asked = study.shapes.filter(
      (shape) => study.kernels?.includes(base.select(this.#forms.get(shape)!.args).kernel) ?? true,
    );
    const refused: Refusal[] = [];
    const known = new Set<string>();
    const legal: { configuration: Configuration; signatures: string[] }[] = [];
    const standard = asked.map((shape) => this.#signature(shape, this.#base));
    for (const configuration of combinations(study.axes)) {
      const reasons = asked.map((shape) => {
        const { problem } = base.select(this.#forms.get(shape)!.args);
        return refusal(study, configuration, this.#limits, problem, device.capabilities);
      });
      for (const [i, reason] of reasons.entries()) {
        if (reason !== null) refused.push({ shape: shapeName(asked[i]!), configuration, reason });
      }
      if (reasons.length > 0 && reasons.every((reason) => reason !== null)) continue;
      // Where it may not run, the dispatcher goes by its rules.
      const signatures = asked.map((shape, i) =>
        reasons[i] === null ? this.#signature(shape, { ...this.#base, ...configuration }) : standard[i]!,
      );
      // The first of those that come to the same launches everywhere.
      const all = signatures.join('\n');
      if (known.has(all)) continue;
      known.add(all);
      legal.push({ configuration, signatures });
    }
    const differing = asked.flatMap((_, i) =>
      legal.some(({ signatures }) => signatures[i] !== standard[i]) ? [i] : [],
    );
    const shapes = differing.map((i) => asked[i]!);
    const estimates = legal.map(({ configuration }) => this.#estimate(configuration, shapes));
    const order = rankedOrder(
      estimates.map((ms) => (ms === null ? null : Math.log(ms))),
      exhaustive,
    );
    return {
      configurations: order.map((i) => legal[i]!.configuration),
      shapes,
      signatures: order.map((i) => differing.map((at) => legal[i]!.signatures[at]!)),
      planned: {
        study: study.name,
        shapes: shapes.map(shapeName),
        configurations: order.map((i) => ({ configuration: legal[i]!.configuration, estimateMs: estimates[i]! })),
        refused,
        pruned: legal.flatMap(({ configuration }, i) => (order.includes(i) ? [] : [configuration])),
      },
    };
  }

  /** Geometric mean of the model's milliseconds over the shapes; null if it does not know all of them. */
  #estimate(configuration: Configuration, shapes: readonly SweepShape[]): number | null {
    const dispatcher = this.#dispatchers.of({ ...this.#base, ...configuration });
    const logs: number[] = [];
    for (const shape of shapes) {
      const selection = dispatcher.select(this.#forms.get(shape)!.args);
      const { capabilities } = this.#session.device;
      const { tuning } = dispatcher;
      const ms = this.#options.ranker.estimateMs({ shape, configuration, selection, tuning, capabilities });
      if (ms === null) return null;
      logs.push(Math.log(ms));
    }
    return logs.length === 0 ? null : Math.exp(mean(logs)!);
  }

  /** Rounds that a study has before its configurations are looked at. */
  #expected(study: Study): number {
    const rungs = this.#rungs();
    let count = study.type === 'cross-over' ? 2 : combinations(study.axes).length;
    const rounds =
      study.type === 'cross-over'
        ? 2 * CROSS_OVER_PASSES
        : rungs.reduce((sum, passes) => {
            const now = sum + passes * count;
            count = Math.ceil(count / 3) + 1;
            return now;
          }, 0);
    return study.shapes.reduce((sum, shape) => sum + rounds * Pace.weight(shape), 0);
  }

  async #study(study: Study): Promise<StudyOutcome | null> {
    const prepared = this.#prepare(study);
    const { shapes, configurations, planned } = prepared;
    if (shapes.length === 0 || configurations.length < 2) return null;
    return study.type === 'cross-over'
      ? { ...planned, ...(await this.#crossOver(study, prepared)) }
      : { ...planned, ...(await this.#sizes(study, prepared)) };
  }

  async #crossOver(study: CrossOverStudy, { shapes, configurations, signatures }: Prepared) {
    const passes = this.#session.effort.quick ? 2 : CROSS_OVER_PASSES;
    const points: { m: number; advantage: number }[] = [];
    for (const [at, shape] of shapes.entries()) {
      const unit = await this.#unit(
        study.name,
        shape,
        passes,
        0,
        signatures.map((of, i) => [of[at]!, configurations[i]!]),
      );
      const [stream, tile] = signatures.map((of) => unit[digest(of[at]!)]!);
      points.push({ m: shape.m, advantage: scoreOf([stream], [tile]) });
    }
    const { defaults } = this.#dispatchers;
    const general = study.entry.split('.')[0]!;
    const standard = defaults[study.entry] ?? defaults[general]!;
    const limit = crossOverOf(points, standard, this.#limits[study.entry]!);
    const gain = (upTo: number) => mean(points, ({ m, advantage }) => (m <= upTo ? advantage : 0))!;
    return {
      chosen: limit === null ? {} : { [study.entry]: limit },
      ratio: limit === null ? 1 : Math.exp(gain(limit) - gain(standard)),
    };
  }

  async #sizes(study: SizeStudy, { shapes, configurations, signatures }: Prepared) {
    const rounds = configurations.map(() => shapes.map((): number[] => []));
    let alive = configurations.map((_, i) => i);
    let scores = new Map<number, number>();
    for (const [rung, passes] of this.#rungs().entries()) {
      for (const [at, shape] of shapes.entries()) {
        const variants = alive.map((i) => [signatures[i]![at]!, configurations[i]!] as const);
        const unit = await this.#unit(study.name, shape, passes, rung, variants);
        for (const i of alive) rounds[i]![at]!.push(...(unit[digest(signatures[i]![at]!)] ?? []));
      }
      const measured = (i: number): (Rounds | undefined)[] =>
        rounds[i]!.map((of, at) =>
          of.length === 0 || allEqual(alive.map((j) => signatures[j]![at]!)) ? undefined : of,
        );
      scores = new Map(alive.map((i) => [i, scoreOf(measured(i), measured(0))]));
      if (!this.#options.exhaustive) alive = survivors(alive, scores);
    }
    const best = bestOf(alive, scores);
    return { chosen: this.#meant(study, configurations[best]!), ratio: Math.exp(scores.get(best)!) };
  }

  /** Entries of a configuration that are not what the defaults say. */
  #meant(study: SizeStudy, configuration: Configuration): Configuration {
    const { defaults } = this.#dispatchers;
    const standard = (name: string) => {
      const parts = name.split('.');
      for (let count = parts.length; count > 0; count--) {
        const value = defaults[parts.slice(0, count).join('.')];
        if (value !== undefined) return value;
      }
      return undefined;
    };
    const names = Object.keys(study.axes);
    return Object.fromEntries(
      Object.entries(configuration).filter(([name, value]) => names.includes(name) && value !== standard(name)),
    );
  }

  /** Measures some configurations at one shape, or finds that this was done before the sweep was stopped. */
  async #unit(
    study: string,
    shape: SweepShape,
    passes: number,
    rung: number,
    variants: readonly (readonly [string, Configuration])[],
  ): Promise<UnitResult> {
    const distinct = new Map<string, Configuration>();
    for (const [signature, configuration] of variants) {
      if (!distinct.has(signature)) distinct.set(signature, configuration);
    }
    if (distinct.size < 2) return {};
    const name = shapeName(shape);
    const digests = [...distinct.keys()].map(digest);
    const id = `${study} | ${name} | rung ${rung}, ${passes} passes | ${digest(digests.join())}`;
    let unit = this.#state!.get(id);
    const weight = passes * distinct.size * Pace.weight(shape);
    if (unit === undefined) {
      this.#session.progress.update(this.#pace.line(`${study}, ${name}: ${distinct.size} configurations`));
      const begin = performance.now();
      const rounds = await this.#measure(shape, [...distinct.values()], passes);
      unit = Object.fromEntries(digests.map((key, i) => [key, rounds[i]!]));
      this.#state!.add(id, unit);
      this.#pace.done(weight, performance.now() - begin);
      this.#options.onUnit?.(id);
    }
    for (const [i, configuration] of [...distinct.values()].entries()) {
      const rounds = unit[digests[i]!]!;
      this.#measurements.push({ study, shape, configuration, ms: median(rounds)!, rounds: rounds.length });
    }
    this.#pace.spent(study, weight);
    return unit;
  }

  async #measure(shape: SweepShape, configurations: readonly Configuration[], passes: number) {
    const { device, seed, signal } = this.#session;
    signal.throwIfAborted();
    const { m, k, n } = shape;
    const weights = this.#weightsOf(shape);
    using a = device.tensor(normals(seed + 1, m * k), { shape: [m, k] });
    using out = device.empty([m, n]);
    const variants = configurations.map((configuration) => {
      const dispatcher = this.#dispatchers.of({ ...this.#base, ...configuration });
      return weights.copies.map((b) => dispatcher.encode(argsOf(shape, a, b, out)).commands);
    });
    return await measurePasses(this.#session, variants, passes);
  }

  /** Weights of the shape at hand; neighbours in a sweep mostly share them. */
  #weightsOf({ format, n, k }: SweepShape): WeightCopies {
    const name = `${format} ${n} ${k}`;
    if (this.#weights?.name !== name) {
      this.#weights?.copies.dispose();
      this.#weights = null;
      const { device, seed, effort } = this.#session;
      this.#weights = { name, copies: new WeightCopies(device, { format, n, k, seed, quick: effort.quick }) };
    }
    return this.#weights.copies;
  }

  /** Entries of a configuration that change what runs at a shape. */
  #relevant(shape: SweepShape, tuning: Configuration): string[] {
    const own = this.#signature(shape, tuning);
    return Object.keys(tuning).filter((name) => this.#signature(shape, without(tuning, [name])) !== own);
  }

  /** What was decided so far against the same with `configuration`, in turns; null where both are the same. */
  async #pair(what: string, shape: SweepShape, configuration: Configuration, passes: number) {
    const signatures = [
      this.#signature(shape, this.#base),
      this.#signature(shape, { ...this.#base, ...configuration }),
    ];
    if (signatures[0] === signatures[1]) return null;
    const variants = [
      [signatures[0]!, {}],
      [signatures[1]!, configuration],
    ] as const;
    const unit = await this.#unit(what, shape, passes, 0, variants);
    const [before, after] = signatures.map((signature) => unit[digest(signature)]!) as [Rounds, Rounds];
    return { defaultMs: median(before)!, tunedMs: median(after)!, ratio: medianOfRatios(after, before) };
  }

  /** Why a study's choice is not taken, or null: the search picks the luckiest of many, so it is measured once more. */
  async #doubt(study: Study, chosen: Configuration): Promise<string | null> {
    if (Object.keys(chosen).length === 0) return null;
    const passes = this.#session.effort.quick ? 3 : CONFIRM_PASSES;
    let faster = false;
    for (const shape of study.shapes) {
      const pair = await this.#pair(`${study.name}, again`, shape, chosen, passes);
      if (pair === null) continue;
      if (pair.ratio.low > 1) return slowness(shapeName(shape), pair.ratio);
      faster ||= pair.ratio.high < 1;
    }
    return faster ? null : NO_GAIN;
  }

  /**
   * The default against the tuned choice, in turns, at every shape where they differ. Entries that make a shape slower
   * beyond noise are dropped, and then those that make none faster; what is left is checked as it is.
   */
  async #verify(found: Configuration, dropped: DroppedEntry[]) {
    const passes = this.#session.effort.quick ? 3 : this.#options.passes;
    let tuning = found;
    this.#base = {};
    const drop = (entries: readonly string[], reason: string) => {
      for (const entry of entries) dropped.push({ entry, value: tuning[entry]!, reason });
      tuning = without(tuning, entries);
    };
    for (;;) {
      const evidence: TuningEvidence[] = [];
      for (const shape of this.#shapes) {
        const pair = await this.#pair('check', shape, tuning, passes);
        if (pair !== null) {
          evidence.push({ case: shapeName(shape), entries: this.#relevant(shape, tuning), ...pair });
        }
      }
      const slower = evidence.find(({ ratio }) => ratio.low > 1);
      if (slower !== undefined) {
        // Entries of which any one would do are all of them to blame.
        drop(slower.entries.length > 0 ? slower.entries : Object.keys(tuning), slowness(slower.case, slower.ratio));
        continue;
      }
      const useless = Object.keys(tuning).filter(
        (name) => !evidence.some(({ entries, ratio }) => entries.includes(name) && ratio.high < 1),
      );
      if (useless.length === 0) return { tuning, evidence };
      drop(useless, NO_GAIN);
    }
  }

  [Symbol.dispose](): void {
    this.#weights?.copies.dispose();
    this.#weights = null;
    for (const form of this.#forms.values()) form[Symbol.dispose]();
    this.#forms.clear();
    this.#dispatchers[Symbol.dispose]();
  }
}

interface Prepared {
  readonly configurations: readonly Configuration[];
  readonly shapes: readonly SweepShape[];
  /** By configuration and shape. */
  readonly signatures: readonly (readonly string[])[];
  readonly planned: PlannedStudy;
}

const NO_GAIN = 'no shape is faster with it beyond noise';
const slowness = (shape: string, by: Ratio): string => `${shape} is slower with it: ${ratio(by)} times as long`;

const allEqual = (values: readonly string[]): boolean => values.every((value) => value === values[0]);

const without = (configuration: Configuration, names: readonly string[]): Configuration =>
  Object.fromEntries(Object.entries(configuration).filter(([name]) => !names.includes(name)));
