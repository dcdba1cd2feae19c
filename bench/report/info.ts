import type { MachineInfo } from '../info/machine.ts';
import type { MetadataSummary, ModelInfo } from '../info/model.ts';
import { bytes, fixed, printable, styled } from './format.ts';
import { type Column, renderTable } from './table.ts';

const heading = (text: string) => `\n${styled('bold', text)}\n`;

/** Name and value, in two columns. */
const PAIRS: readonly Column<readonly [string, string]>[] = [
  { header: '', cell: ([name]) => name },
  { header: '', cell: ([, value]) => value },
];
const pairs = (rows: readonly (readonly [string, string])[]) =>
  renderTable(PAIRS, rows).split('\n').slice(1).join('\n');

export function machineReport(info: MachineInfo): string {
  const { native } = info;
  const binaries = [
    ...native.tried.map(({ what, path, error }) => [
      error === null ? styled('green', 'loaded') : styled('red', 'failed'),
      `${what}: ${path}${error === null ? '' : `\n${error}`}`,
    ]),
    ...native.untried.map(({ what, path }) => ['not needed', `${what}: ${path}`]),
  ] as [string, string][];
  const devices = info.devices.map((device): readonly [string, string] =>
    device.available
      ? [
          styled('green', device.backend),
          `${device.deviceName}, ${device.architecture}${device.int8Dot ? ' with integer dot products' : ''}, ` +
            `${device.computeUnits} ${device.backend === 'cpu' ? 'threads' : 'compute units'}, ` +
            `${bytes(device.memoryBytes)}, ${device.kernels.length} kernels`,
        ]
      : [styled('dim', device.backend), `not available: ${device.reason}`],
  );
  const isas = native.isas.map(({ name, supported }) => (supported ? name : `${name} (not on this machine)`));
  return [
    pairs([
      ['tilewright', info.tilewright],
      ['Node', `${info.node} on ${info.platform}, ${info.system}`],
      ['CPU', `${info.cpu}, ${info.cores} cores, ${bytes(info.memoryBytes)} of memory`],
    ]),
    heading('Devices'),
    pairs(devices),
    heading('Native binary'),
    pairs([...binaries, ['kernels for', isas.length > 0 ? isas.join(', ') : 'none']]),
    heading('Formats'),
    renderTable<MachineInfo['formats'][number]>(
      [
        { header: 'name', cell: ({ name }) => name },
        { header: 'weights per block', align: 'right', cell: ({ blockSize }) => String(blockSize) },
        { header: 'bytes per block', align: 'right', cell: ({ blockBytes }) => String(blockBytes) },
        { header: 'bits per weight', align: 'right', cell: ({ bitsPerWeight }) => fixed(bitsPerWeight, 2) },
      ],
      info.formats,
    ),
    '',
  ].join('\n');
}

/** Longest metadata value and tensor name that are shown. */
const LONGEST_VALUE = 60;
const LONGEST_NAME = 48;

export function modelReport(info: ModelInfo): string {
  const split = info.parts.length > 1;
  const tensors: Column<ModelInfo['tensors'][number]>[] = [
    { header: 'name', cell: ({ name }) => printable(name, LONGEST_NAME) },
    { header: 'type', cell: ({ dtype }) => dtype },
    { header: 'shape', cell: ({ shape }) => shape.join(' x ') },
    { header: 'size', align: 'right', cell: ({ byteLength }) => (byteLength === undefined ? '?' : bytes(byteLength)) },
    { header: 'offset', align: 'right', cell: ({ offset }) => String(offset) },
    ...(split
      ? [{ header: 'part', align: 'right' as const, cell: ({ part }: { part: number }) => String(part + 1) }]
      : []),
  ];
  const perWeight = info.weights === 0 ? 0 : (8 * info.tensorBytes) / info.weights;
  return [
    pairs([
      ...info.parts.map(({ path, byteLength, version }, i): readonly [string, string] => [
        split ? `part ${i + 1} of ${info.parts.length}` : 'file',
        `${printable(path)}, ${bytes(byteLength)}, GGUF version ${version}`,
      ]),
      [
        'weights',
        `${info.weights.toLocaleString('en')} in ${info.tensors.length} tensors, ${bytes(info.tensorBytes)}, ` +
          `${fixed(perWeight, 2)} bits each`,
      ],
    ]),
    heading('Metadata'),
    pairs(Object.entries(info.metadata).map(([key, { type, value }]) => [printable(key), show(type, value)])),
    heading('Types'),
    renderTable<ModelInfo['types'][number]>(
      [
        { header: 'type', cell: ({ dtype }) => dtype },
        { header: 'tensors', align: 'right', cell: (row) => String(row.tensors) },
        { header: 'weights', align: 'right', cell: ({ weights }) => weights.toLocaleString('en') },
        { header: 'size', align: 'right', cell: (row) => bytes(row.bytes) },
      ],
      info.types,
    ),
    heading('Tensors'),
    renderTable(tensors, info.tensors),
    '',
  ].join('\n');
}

function show(type: string, value: MetadataSummary): string {
  if (typeof value !== 'object') return printable(String(value), LONGEST_VALUE);
  const items = value.first.map((item) => (typeof item === 'object' ? '[…]' : JSON.stringify(item)));
  const more = value.length > items.length ? ', …' : '';
  return `${type} of ${value.length}: ${printable(items.join(', ') + more, LONGEST_VALUE)}`;
}
