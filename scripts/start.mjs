// `npm start`: set-up, then the demonstration.

import { setUp } from './setup.mjs';
import { main, mustRun, root, say } from './steps.mjs';

await main(async () => {
  say(`ready in ${await setUp()}`);
  await mustRun('The demonstration', process.execPath, [`${root}dist/bench/demo/main.js`, ...process.argv.slice(2)], {
    show: true,
  });
});
