import { describe, expect, it } from 'vitest';
import { type Launch, launch } from '../../ts/device/command-list.ts';
import { DeviceTrace } from '../../ts/profile/trace.ts';
import { traceProblems } from '../profile/check-trace.ts';
import { hasClang, openSoft, scale } from './support.ts';

describe.runIf(hasClang)('A trace of a HIP device', () => {
  it('has every launch by its label, within its submission, empty problems left out', async () => {
    await using device = openSoft({ arch: 'gfx1100', slow: 200 });
    const [x, y] = [device.buffer(12), device.buffer(12)];
    const named = (label: string, count = 3): Launch =>
      launch(scale, {
        buffers: { x: { buffer: x, byteOffset: 0 }, y: { buffer: y, byteOffset: 0 } },
        constants: {},
        params: { count, factor: 2 },
        label,
      });
    using trace = new DeviceTrace(device);
    await device.submit([named('empty first', 0), named('one'), named('empty', 0), named('two')]);
    using recorded = device.record([named('three')]);
    await Promise.all([recorded.submit(), recorded.submit()]);
    const told = trace.toJSON();
    expect(traceProblems(told)).toEqual([]);
    const kernels = told.traceEvents.filter(({ cat }) => cat === 'kernel');
    expect(kernels.map(({ name }) => name)).toEqual(['one', 'two', 'three', 'three']);
    for (const { tid, dur, args } of kernels) {
      expect(tid).toBe(0); // one lane is enough: nothing overlaps
      expect(dur).toBeGreaterThan(150);
      expect(args).toMatchObject({ kernel: 'scale', count: 3, factor: 2, bufferBytes: [12, 0, 12] });
      const begun = told.traceEvents.find(({ ph, args: own }) => ph === 'b' && own!.submission === args!.submission)!;
      const done = told.traceEvents.find(({ ph, id }) => ph === 'e' && id === begun.id)!;
      const own = kernels.filter((other) => other.args!.submission === args!.submission);
      for (const { ts, dur: length } of own) expect(ts! + length!).toBeLessThanOrEqual(done.ts! + 0.02);
    }
  });
});
