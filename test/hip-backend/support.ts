import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { requireUnit } from '../../scripts/hip/units.ts';
import { HipBackend } from '../../ts/backends/hip/hip.ts';
import type { CodeObjects, ObjectRequest } from '../../ts/backends/hip/objects.ts';
import type { HipOptions } from '../../ts/backends/hip/options.ts';
import { Device } from '../../ts/device/device.ts';
import { ceilDiv, declareHipKernel, formatDefines } from '../../ts/kernels/hip/declare.ts';
import { formatFinding } from '../../ts/testbed/check.ts';
import { compile, hipTarget, preprocess } from '../../ts/testbed/compile.ts';
import { buildSoftHip, softModule } from '../../ts/testbed/soft-hip.ts';
import { findToolchain } from '../../ts/testbed/toolchain.ts';

export const hasClang = await findToolchain().then(
  () => true,
  () => false,
);

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const INCLUDE = [path('Sources/KernelABI/include'), path('hip')];
const TARGETS = ['gfx906', 'gfx1100'];

const buffers = { x: { access: 'read' }, bias: { access: 'read', optional: true }, y: { access: 'write' } } as const;
const tryOut = (id: number, name: string) =>
  declareHipKernel({
    ...{ id, name, doc: 'For the tests of the driver.', source: 'kernels.hip', entry: () => name, buffers },
    ...{ constants: [], paramsName: name, params: { count: 'i64', factor: 'f32' } as const },
    extents: (p) => ({
      x: { from: 0, to: 4 * p.count },
      bias: { from: 0, to: 4 * p.count },
      y: { from: 0, to: 4 * p.count },
    }),
    geometry: (p) => ({ threadgroups: [ceilDiv(p.count, 64), 1, 1], threads: [64, 1, 1] }),
    refuse: (p) => (p.factor === 13 ? 'the factor is 13' : null),
  });
/** y = factor * x + bias */
export const scale = tryOut(9000, 'scale');
export const astray = tryOut(9001, 'astray');
/** y = 2 * factor * x + bias, by a function that is called `scale`, too. */
export const twin = { ...scale, id: 9002, name: 'twin', format: () => 'twice' };

/** HIP kernels compiled by the test bed when they are first asked for. */
export const softObjects: CodeObjects = {
  targets: TARGETS,
  kernels: [scale, astray, twin] as unknown as NonNullable<CodeObjects['kernels']>,
  has: (kernel, target) => kernel.runsOn(target),
  find({ kernel, format }: ObjectRequest, target) {
    const own = kernel.source === 'kernels.hip';
    const file = own ? path('test/hip-backend/kernels.hip') : path(`hip/${kernel.source}`);
    if (!own) requireUnit(kernel.source, format);
    return {
      key: `${kernel.source} ${format}`,
      bytes: async () => {
        const options = { include: INCLUDE, define: formatDefines(format), target };
        const source = await preprocess(file, options);
        const module = 'text' in source ? await compile(source, 'run', options) : source;
        if (!('path' in module)) throw new Error(module.map(formatFinding).join('\n'));
        return softModule(module, hipTarget(options).wave);
      },
    };
  },
};

/** What the software device is to be; see Sources/SoftHip/runtime.h. */
export type SoftSettings = Readonly<Record<string, string | number>>;

/** The software device's library. */
export const driver = hasClang ? await buildSoftHip() : '';

/** A HIP device in software: gfx906 has waves of 64, gfx1100 of 32. */
export function openSoft(settings: SoftSettings = {}, options: HipOptions = {}): Device {
  const all = { arch: 'gfx1100', wave: settings.arch === 'gfx906' ? 64 : 32, ...settings };
  process.env.TILEWRIGHT_SOFT_HIP = Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  return new Device(new HipBackend({ driver, objects: softObjects, ...options }));
}

/** As {@link openSoft}, closed after the tests of the file. */
export function softDevice(settings: SoftSettings = {}): Device {
  const device = openSoft(settings);
  afterAll(() => device.dispose());
  return device;
}
