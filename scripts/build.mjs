// `npm run build`, and what `npm pack` runs first: dependencies, native addon, dist.

import { setUp } from './setup.mjs';
import { main, say } from './steps.mjs';

await main(async () => say(`ready in ${await setUp()}`));
