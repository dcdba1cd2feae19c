// `npm run build`, and with --bundle what `npm pack` runs first: dependencies, native addon, dist, HIP kernels.

import { parseArgs } from 'node:util';
import { bundleKernels } from './kernels.mjs';
import { setUp } from './setup.mjs';
import { main, say } from './steps.mjs';

await main(async () => {
  const { values } = parseArgs({ options: { bundle: { type: 'boolean', default: false } } });
  say(`ready in ${await setUp()}`);
  if (values.bundle) await bundleKernels();
});
