// Runs the command line from dist/. A checkout has the sources, too: there, dist and the native addon are first brought
// up to date, which takes a fraction of a second when nothing changed.
import { existsSync } from 'node:fs';

export async function run(program) {
  const setup = new URL('../scripts/setup.mjs', import.meta.url);
  if (existsSync(setup)) {
    try {
      const { setUp } = await import(setup.href);
      await setUp();
    } catch (error) {
      process.stderr.write(`${program}: ${error.message}\n`);
      process.exitCode = 1;
      return;
    }
  }
  const { main } = await import('../dist/bench/cli/main.js');
  await main(program, process.argv.slice(2));
}
