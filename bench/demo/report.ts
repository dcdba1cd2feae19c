import { fixed, milliseconds, share, styled } from '../report/format.ts';
import { renderTable } from '../report/table.ts';
import type { BatchReport } from './batch.ts';
import type { LayerResult } from './run.ts';

const short = (name: string) => name.replace(/\.weight$/, '');
const microseconds = (ms: number) => milliseconds(ms * 1000);

/** The table of all layers, with the rate that matters. */
export function layerReport(layers: readonly LayerResult[], rate: 'GB/s' | 'GFLOP/s'): string {
  return renderTable<LayerResult>(
    [
      { header: 'tensor', cell: ({ tensor }) => short(tensor.name) },
      { header: 'format', cell: ({ tensor }) => tensor.dtype },
      { header: 'n x k', align: 'right', cell: ({ tensor }) => tensor.shape.join('x') },
      { header: 'variant', cell: ({ selection }) => selection.variant },
      { header: 'µs', align: 'right', cell: ({ ms }) => microseconds(ms) },
      {
        header: rate,
        align: 'right',
        cell: ({ gbps, gflops }) => (rate === 'GB/s' ? fixed(gbps, 1) : fixed(gflops, 0)),
      },
      { header: 'limit', cell: ({ limit }) => limit.kind },
      { header: 'share', align: 'right', cell: ({ limit }) => share(limit.share) },
      { header: 'error', align: 'right', cell: ({ deviation }) => deviation.relative.toExponential(1) },
      {
        header: 'of bound',
        align: 'right',
        cell: ({ deviation: { ofBound } }) =>
          ofBound <= 1 ? `${fixed(100 * ofBound, ofBound < 0.1 ? 1 : 0)}%` : styled('red', 'WRONG'),
      },
    ],
    layers,
  );
}

/** One reason for each kernel family that was chosen, with how many tensors it stands for. */
export function reasons(layers: readonly LayerResult[]): string {
  const groups = new Map<string, LayerResult[]>();
  for (const layer of layers) {
    const { variant, kernel } = layer.selection;
    const key = `${variant} (${kernel})`;
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  return [...groups]
    .map(([key, [first, ...others]]) => {
      const more = others.length === 0 ? '' : `, and ${others.length} more`;
      return `${styled('bold', key)}\n  ${short(first!.tensor.name)}${more}: ${first!.selection.reason}`;
    })
    .join('\n');
}

/** A line of an explanation as far as its verdict. */
export const EXPLAINED = /^ {2}\S \S+ \(\S+\) +/;

/** Lines no longer than `width`; what is wrapped goes on below the place where the words after `mark` begin. */
export function wrap(text: string, mark: RegExp, width = 100): string {
  return text
    .split('\n')
    .map((line) => {
      const indent = ' '.repeat((mark.exec(line)?.[0].length ?? 0) % width);
      const lines = [''];
      for (const word of line.split(/(?<=\S)(?= )/)) {
        const last = lines.at(-1)!;
        if (last.length + word.length > width) lines.push(indent + word.trimStart());
        else lines[lines.length - 1] = last + word;
      }
      return lines.join('\n');
    })
    .join('\n');
}

export function batchReport({ ops, totalMs, batchCallMs, singleCallsMs }: BatchReport): string {
  const table = renderTable<BatchReport['ops'][number]>(
    [
      { header: 'op', cell: ({ name }) => short(name) },
      { header: 'format', cell: ({ format }) => format },
      { header: 'variant', cell: ({ variant }) => variant },
      { header: 'µs', align: 'right', cell: ({ ms }) => microseconds(ms) },
    ],
    ops,
  );
  return [
    table,
    `On the device ${microseconds(totalMs)} µs together, weights in the cache; the first op rounds the input for all.`,
    `Awaited: as a batch ${microseconds(batchCallMs)} µs, as ${ops.length} calls ${microseconds(singleCallsMs)} µs.`,
  ].join('\n');
}

export const NEXT: string = [
  ['npx tilewright info .cache/sample.gguf', 'what a GGUF file holds; works with an https address, too'],
  ['npx bench matmul --m 1,8,512', 'kernels at the size of a real layer, against the limits'],
  ['npx bench matmul --format all --m 1', 'every format'],
  ['npx bench dequant', 'decoding alone'],
  ['docs/writing-a-kernel.md', 'a kernel, or a quantization format, of your own'],
]
  .map(([command, text]) => `  ${command!.padEnd(40)}${text}`)
  .join('\n');
