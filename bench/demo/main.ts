// What `npm start` shows: a GGUF file of many formats, every matrix of it through the dispatcher, and what came of it.
import { relative } from 'node:path';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { loadGGUF, openDevice } from '../../ts/index.ts';
import { Limits } from '../limits/limits.ts';
import { fixed, bytes as size, styled } from '../report/format.ts';
import { runBatch } from './batch.ts';
import { batchReport, EXPLAINED, layerReport, NEXT, reasons, wrap } from './report.ts';
import { runLayers } from './run.ts';
import { ensureSample, samplePath } from './sample.ts';

/** Rows of activations: a token that is being generated, and a piece of a prompt. */
const DECODE_ROWS = 1;
const PROMPT_ROWS = 64;

const print = (text = '') => process.stdout.write(`${text}\n`);
const title = (text: string) => print(`\n${styled('bold', text)}\n`);

const begin = performance.now();
const { file, ms } = await ensureSample();
await using device = await openDevice({ backend: 'cpu' });
const { deviceName, architecture, computeUnits } = device.capabilities;
print(`${styled('bold', 'tilewright')}: ${deviceName}, ${architecture} kernels, ${computeUnits} threads`);
const formats = new Set(file.tensors.map(({ dtype }) => dtype)).size;
print(
  `${relative(process.cwd(), samplePath)}: ${file.tensors.length} tensors of ${formats} types, ` +
    `${size(file.parts[0]!.byteLength)}, random weights${ms > 0 ? ` (written in ${fixed(ms / 1000, 1)} s)` : ''}`,
);

using model = await loadGGUF(samplePath, { device });
using dispatcher = new MatmulDispatcher(device, { precision: 'fast' });
using limits = new Limits(device);
await limits.peak('f32'); // also brings the cores to their clock

const decode = await runLayers(model, dispatcher, limits, DECODE_ROWS);
title('Generating a token: one row of activations, each weight is read for it alone');
print(layerReport(decode, 'GB/s'));
const prompt = await runLayers(model, dispatcher, limits, PROMPT_ROWS);
title(`Reading a prompt: ${PROMPT_ROWS} rows, each weight is used for all of them`);
print(layerReport(prompt, 'GFLOP/s'));

title('Why these kernels');
print(wrap(reasons([...decode, ...prompt]), /^ */));
title('dispatcher.explain() of one of them, in full');
{
  using a = device.empty([PROMPT_ROWS, 768]);
  using b = model.tensor('blk.0.attn_q.weight');
  print(wrap(String(dispatcher.explain({ a, b })), EXPLAINED));
}

title('BatchQuantizedMatmul: the projections of one input, three formats, one submit');
const projections = ['attn_q', 'attn_k', 'attn_v'].map((name) => `blk.0.${name}.weight`);
print(batchReport(await runBatch(model, dispatcher, projections)));

title('Try next');
print(NEXT);
const wrong = [...decode, ...prompt].filter(({ deviation }) => !(deviation.ofBound <= 1));
print(
  wrong.length === 0
    ? `\n${styled('green', 'All results are within their bounds.')} ${fixed((performance.now() - begin) / 1000, 1)} s.`
    : `\n${styled('red', `WRONG: ${wrong.map(({ tensor }) => tensor.name).join(', ')}`)}`,
);
if (wrong.length > 0) process.exitCode = 1;
