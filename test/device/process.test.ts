import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const index = new URL('../../ts/index.ts', import.meta.url).href;

/** The compiled package, for workers: on Node 20 tsx does not reach them. */
const built = new URL('../../dist/ts/index.js', import.meta.url).href;

/** Run a module in a process of its own; the public API is in scope. */
async function run(body: string, flags: readonly string[] = [], killAfterLine?: string) {
  const source = `import * as tw from ${JSON.stringify(index)};\n${body}`;
  const child = spawn(process.execPath, [...flags, '--import', 'tsx', '--input-type=module', '--eval', source], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
    if (killAfterLine !== undefined && out.includes(killAfterLine)) child.kill('SIGTERM');
  });
  child.stderr.on('data', (chunk) => (err += chunk));
  const watchdog = setTimeout(() => child.kill('SIGKILL'), 50_000);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (c, s) => resolve([c, s])),
  );
  clearTimeout(watchdog);
  return { code, signal, out, err };
}

const WORK = `
  const device = await tw.openDevice({ backend: 'cpu', threads: 2 });
  const dispatcher = new tw.MatmulDispatcher(device);
  const a = device.tensor(new Float32Array(512 * 512).fill(1), { shape: [512, 512] });
`;

it('ends when nothing is in flight, although a device is open', async () => {
  const { code, out } = await run(`${WORK} await dispatcher.matmul({ a, b: a }); console.log('done');`);
  expect({ code, out }).toEqual({ code: 0, out: 'done\n' });
});

it('stays alive for work in flight', async () => {
  const { code, out } = await run(`${WORK} dispatcher.matmul({ a, b: a }).then(() => console.log('done'));`);
  expect({ code, out }).toEqual({ code: 0, out: 'done\n' });
});

it('exits at once on process.exit in mid-submit', async () => {
  const { code, signal } = await run(
    `${WORK} for (let i = 0; i < 200; i++) dispatcher.matmul({ a, b: a }).catch(() => {}); process.exit(7);`,
  );
  expect({ code, signal }).toEqual({ code: 7, signal: null });
});

it('dies of a signal in mid-submit as any process does', async () => {
  const { signal } = await run(
    `${WORK} for (let i = 0; i < 2000; i++) dispatcher.matmul({ a, b: a }).catch(() => {}); console.log('busy');`,
    [],
    'busy',
  );
  expect(signal).toBe('SIGTERM');
});

it('works in worker threads, which may end in mid-submit', async () => {
  const { code, out, err } = await run(`
    import { Worker } from 'node:worker_threads';
    const source = ${JSON.stringify(
      `(async () => {
         const tw = await import(${JSON.stringify(built)});
         ${WORK}
         await dispatcher.matmul({ a, b: a });
         for (let i = 0; i < 50; i++) dispatcher.matmul({ a, b: a }).catch(() => {});
         require('node:worker_threads').parentPort.postMessage('busy');
       })();`,
    )};
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(source, { eval: true, execArgv: [] });
      await new Promise((resolve, reject) => { worker.on('message', resolve); worker.on('error', reject); });
      await worker.terminate();
    }
    const device = await tw.openDevice({ backend: 'cpu' });
    console.log((await device.tensor([1, 2], { shape: [2] }).read()).join());
  `);
  expect({ code, out, err }).toEqual({ code: 0, out: '1,2\n', err: '' });
});

it('gives memory back that was never disposed', async () => {
  // 200 tensors of 64 MiB, each written: more than the machine has, unless the collector frees them.
  const { code, out } = await run(
    `
    const device = await tw.openDevice({ backend: 'cpu' });
    const data = new Float32Array(16 << 20).fill(1);
    for (let i = 0; i < 200; i++) {
      device.tensor(data, { shape: [data.length] });
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(process.memoryUsage().rss < 3 * 2 ** 30);
  `,
    ['--expose-gc'],
  );
  expect({ code, out }).toEqual({ code: 0, out: 'true\n' });
});

it('leaks nothing over 10,000 submits', async () => {
  const { code, out } = await run(
    `
    const device = await tw.openDevice({ backend: 'cpu', threads: 1 });
    const dispatcher = new tw.MatmulDispatcher(device);
    const a = device.tensor([1, 2, 3, 4], { shape: [2, 2] });
    const burst = async (count) => {
      for (let i = 0; i < count; i++) { using out = await dispatcher.matmul({ a, b: a }); }
      global.gc();
      await new Promise((resolve) => setImmediate(resolve));
      return process.memoryUsage();
    };
    const before = await burst(2000);
    const after = await burst(10_000);
    console.log(after.rss - before.rss < 32 * 2 ** 20, after.heapUsed - before.heapUsed < 4 * 2 ** 20);
  `.replace(
      '{ using out = await dispatcher.matmul({ a, b: a }); }',
      '(await dispatcher.matmul({ a, b: a })).dispose();',
    ),
    ['--expose-gc'],
  );
  expect({ code, out }).toEqual({ code: 0, out: 'true true\n' });
});

it('selects a repeated form of arguments without allocating', async () => {
  const { code, out } = await run(`
    import { PerformanceObserver } from 'node:perf_hooks';
    const device = await tw.openDevice({ backend: 'cpu', threads: 1 });
    const dispatcher = new tw.MatmulDispatcher(device);
    const args = { a: device.empty([8, 64]), b: device.empty([32, 64]), transposeB: true, bias: device.empty([32]) };
    const select = (count) => { for (let i = 0; i < count; i++) dispatcher.select(args); };
    select(100_000); // compiled and cached by now
    await new Promise((resolve) => setTimeout(resolve, 20));
    let collections = 0;
    new PerformanceObserver((list) => { collections += list.getEntries().length; }).observe({ entryTypes: ['gc'] });
    select(2_000_000); // one 16-byte object a call would fill the young generation several times
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(collections);
  `);
  expect({ code, out }).toEqual({ code: 0, out: '0\n' });
});
