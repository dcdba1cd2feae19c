// Every kernel family once or more on a GPU, checked against the CPU back end: short enough to run under a memory checker.
// `exercise.ts q4_k q6_k` takes some formats of all.
import { ObjectFolder } from '../../ts/backends/hip/objects.ts';
import { openDevice } from '../../ts/backends/open.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { commonFamily, formatFamily, tensorsOf } from './families.ts';
import { Comparison, Counted } from './sides.ts';

const folder = ObjectFolder.ofPackage();
const objects = new Counted(folder);
await using gpu = await openDevice({ backend: 'hip', hip: { objects } });
await using cpu = await openDevice({ backend: 'cpu' });
const named = process.argv.slice(2);
const all = QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name]));
const formats = named.length === 0 ? all : named;

const begin = performance.now();
const since = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
const tensors = [...formats, 'f16'].flatMap((dtype) => tensorsOf(dtype, gpu));
const comparison = await Comparison.open(gpu, cpu, tensors);
console.log(`weights are on both devices after ${since()}`);
for (const format of formats) await formatFamily(comparison, format);
console.log(`all formats after ${since()}`);
await commonFamily(comparison, formats[0]!);

const { checks, failures } = comparison;
const { deviceName, architecture } = gpu.capabilities;
console.log(
  `${checks} results of ${deviceName} (${architecture}) agree with the CPU's but for ${failures}; ${since()}`,
);
const symbols = folder.symbols(architecture);
const idle = symbols.filter((symbol) => !objects.used.has(symbol));
console.log(`${symbols.length - idle.length} of ${symbols.length} functions ran. Not: ${idle.join(', ') || 'none'}`);
process.exitCode = failures > 0 ? 1 : 0;
