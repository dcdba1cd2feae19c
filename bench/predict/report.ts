import { CHIPS, type Chip, type ModelEstimate } from '../../ts/cost/index.ts';
import { bytes, fixed, milliseconds, printable, share, styled } from '../report/format.ts';
import { type Column, renderTable } from '../report/table.ts';
import type { Check, CheckedMatmul, CheckedRun, Errors } from './check.ts';
import type { LeastTime, LeastTimes } from './machine.ts';
import type { PredictedConfiguration, PredictedMatmul } from './matmul.ts';
import type { PredictedModel } from './model.ts';

const right = <Row>(header: string, cell: (row: Row) => string): Column<Row> => ({ header, align: 'right', cell });
const left = <Row>(header: string, cell: (row: Row) => string): Column<Row> => ({ header, cell });
const us = (ms: number): string => milliseconds(1000 * ms);

export function chipsReport(): string {
  const table = renderTable<Chip>(
    [
      left('chip', ({ name }) => name),
      left('GPU family', ({ architecture }) => architecture),
      right('cores', ({ cores }) => `${cores}`),
      right('GHz', ({ clockGhz, assumedClock }) => `${fixed(clockGhz, 3)}${assumedClock ? ' ?' : '  '}`),
      right('GB/s', ({ bandwidthGbps }) => fixed(bandwidthGbps, 0)),
      right('cache', ({ cacheBytes }) => bytes(cacheBytes)),
      right('f32 GFLOP/s', ({ cores, clockGhz }) => fixed(256 * cores * clockGhz, 0)),
    ],
    CHIPS,
  );
  return `${table}\n\n? no primary source says so. docs/cost-model.md has the sources.\n`;
}

/** The first places, and the dispatcher's own wherever it stands. */
export function matmulReport(matmul: PredictedMatmul, limit: number): string {
  const { m, n, k, weights, configurations } = matmul;
  const shown = configurations.filter(({ place, chosen }) => place <= limit || chosen);
  const table = renderTable<PredictedConfiguration>(
    [
      right('#', ({ place }) => `${place}`),
      left('kernel', ({ configuration }) => configuration.kernel),
      left('configuration', ({ label }) => label),
      right('us', ({ estimate }) => us(estimate.ms)),
      right('memory', ({ estimate }) => us(estimate.parts.memoryMs)),
      right('cache', ({ estimate }) => us(estimate.parts.cacheMs)),
      right('compute', ({ estimate }) => us(estimate.parts.computeMs)),
      left('bound', ({ estimate }) => estimate.bound),
      right('share', (row) => share(row.share)),
      right('groups', ({ estimate }) => `${estimate.occupancy.threadgroups}`),
      right('a core', ({ estimate }) => `${estimate.occupancy.groupsPerCore}`),
      left('for', ({ estimate }) => estimate.occupancy.limit),
      left('', ({ chosen }) => (chosen ? styled('bold', '← dispatcher') : '')),
    ],
    shown,
  );
  const title = `${weights} on ${matmul.chip}: m ${m}, n ${n}, k ${k}; ${configurations.length} legal configurations`;
  return `${styled('bold', title)}\n${table}\n`;
}

/** The least times on a device of this machine. */
export function leastTimesReport({ m, n, k, weights, device, bandwidthGbps, launchMs, kernels }: LeastTimes): string {
  const table = renderTable<LeastTime>(
    [
      left('kernel', ({ kernel }) => kernel),
      right('us at least', ({ estimate }) => us(estimate.ms)),
      left('bound', ({ estimate }) => estimate.bound),
      right('MB', ({ estimate }) => milliseconds(estimate.bytes / 1e6)),
      left('', ({ chosen }) => (chosen ? styled('bold', '← dispatcher') : '')),
    ],
    kernels,
  );
  const limits = `${fixed(bandwidthGbps, 1)} GB/s, ${us(launchMs)} us a launch`;
  return `${styled('bold', `${weights} on ${device} (${limits}): m ${m}, n ${n}, k ${k}`)}\n${table}\n`;
}

export function modelReport({ chip, model, prompt, context, decode, prefill }: PredictedModel): string {
  interface Row {
    readonly phase: string;
    readonly estimate: ModelEstimate;
  }
  const rows: Row[] = [
    { phase: `decode, ${context} tokens before`, estimate: decode },
    { phase: `prefill of ${prompt}`, estimate: prefill },
  ];
  const part = (name: string, of: (estimate: ModelEstimate) => number) =>
    right<Row>(name, ({ estimate }) => milliseconds(of(estimate)));
  const table = renderTable<Row>(
    [
      left('', ({ phase }) => phase),
      right('tokens/s', ({ estimate }) => fixed(estimate.tokensPerSecond, 1)),
      part('ms', ({ ms }) => ms),
      part('matmuls', ({ parts }) => parts.matmulMs),
      part('attention', ({ parts }) => parts.attentionMs),
      part('elementwise', ({ parts }) => parts.elementwiseMs),
      part('launches', ({ parts }) => parts.launchMs),
    ],
    rows,
  );
  const title = `${printable(model, 80)} on ${chip}: ${bytes(decode.weightBytes)} of weights a token, ${decode.launches} launches`;
  return `${styled('bold', title)}\n${table}\n`;
}

const off = (predicted: number, published: number): string => {
  const percent = 100 * (predicted / published - 1);
  return `${percent < 0 ? '' : '+'}${fixed(percent, 1)}%`;
};
const summary = ({ mean, worst }: Errors): string => `mean ${fixed(100 * mean, 1)}%, worst ${fixed(100 * worst, 1)}%`;

export function checkReport({ runs, matmuls, errors, fitted }: Check): string {
  const phase = (name: 'prefill' | 'decode') => [
    right<CheckedRun>(name, (run) => fixed(run[name], 1)),
    right<CheckedRun>('model', ({ predicted }) => fixed(predicted[name], 1)),
    right<CheckedRun>('off', (run) => off(run.predicted[name], run[name])),
    right<CheckedRun>('unseen', (run) => off(run.unseen[name], run[name])),
  ];
  const table = renderTable<CheckedRun>(
    [
      left('chip', ({ chip }) => chip),
      left('weights', ({ weights }) => weights),
      ...phase('decode'),
      ...phase('prefill'),
    ],
    runs,
  );
  const single = renderTable<CheckedMatmul>(
    [
      left('chip', ({ chip }) => chip),
      left('kernels of', ({ kernels }) => kernels),
      left('weights', ({ weights }) => weights),
      left('m x n x k', ({ m, n, k }) => `${m} x ${n} x ${k}`),
      right('us', ({ ms }) => us(ms)),
      right('model', ({ predictedMs }) => us(predictedMs)),
      right('off', ({ ms, predictedMs }) => off(predictedMs, ms)),
    ],
    matmuls,
  );
  const line = (name: 'prefill' | 'decode') =>
    `${name.padEnd(8)} all in the fit: ${summary(errors[name].fitted)}; family left out: ` +
    `${summary(errors[name].family)}; generation left out: ${summary(errors[name].generation)}`;
  const constants = Object.entries(fitted).map(([name, value]) => `${name} ${value}`);
  return (
    `Tokens/s of llama.cpp, LLaMA 7B: 128 tokens generated, 512 of a prompt\n${table}\n\n` +
    `off: constants fitted to all rows. unseen: fitted without the chip's family (m1-max and m1-max-24).\n` +
    `${line('decode')}\n${line('prefill')}\n4 fitted constants: ${constants.join(', ')}\n\n` +
    `Single matmuls; nothing was fitted to these\n${single}\n`
  );
}
