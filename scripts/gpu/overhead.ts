// What a launch costs the processor: one at a time, 300 in one list, and 300 replayed from a recording.
import { openDevice } from '../../ts/backends/open.ts';
import type { Launch } from '../../ts/device/command-list.ts';

const LAUNCHES = 300;
const ROUNDS = 200;

await using device = await openDevice({ backend: 'hip' });
const { deviceName, architecture } = device.capabilities;
console.log(`${deviceName} (${architecture}): a copy of 64 floats, medians of ${ROUNDS} rounds`);
const tensors = Array.from({ length: LAUNCHES + 1 }, () => device.empty([64]));
const launches: Launch[] = Array.from({ length: LAUNCHES }, (_, i) =>
  device.elementwise.copy(tensors[i]!, tensors[i + 1]!),
);

const median = (values: number[]) => values.sort((x, y) => x - y)[values.length >> 1]!;
async function measure(name: string, count: number, run: () => PromiseLike<{ readonly totalMs: number }>) {
  for (let i = 0; i < 20; i++) await run();
  const wall: number[] = [];
  const processor: number[] = [];
  const device: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const cpu = process.cpuUsage();
    const begin = performance.now();
    const { totalMs } = await run();
    wall.push((performance.now() - begin) * 1000);
    const { user, system } = process.cpuUsage(cpu);
    processor.push(user + system);
    device.push(totalMs * 1000);
  }
  const each = (values: number[]) => (median(values) / count).toFixed(2);
  console.log(
    `${name.padEnd(36)} per launch: ${each(wall)} us until the event loop knows, ${each(processor)} us of all ` +
      `threads' processor time, ${each(device)} us on the device`,
  );
}

await measure('one launch per submission', 1, () => device.submit([launches[0]!]));
await measure(`${LAUNCHES} launches in one submission`, LAUNCHES, () => device.submit(launches));
const recorded = device.record(launches);
await measure(`${LAUNCHES} launches, recorded and replayed`, LAUNCHES, () => recorded.submit());
// Enough replays in flight that the host never waits: what the calling thread alone pays.
const pending: PromiseLike<unknown>[] = [];
const cpu = process.cpuUsage();
const begin = performance.now();
for (let i = 0; i < ROUNDS; i++) pending.push(recorded.submit());
await Promise.all(pending);
const { user, system } = process.cpuUsage(cpu);
const count = ROUNDS * LAUNCHES;
console.log(
  `${`${ROUNDS} replays in flight`.padEnd(36)} per launch: ${(((performance.now() - begin) * 1000) / count).toFixed(2)} us, ` +
    `${((user + system) / count).toFixed(2)} us of all threads' processor time`,
);
recorded.dispose();
