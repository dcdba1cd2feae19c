// Does a comparison with a baseline catch a kernel that is 15% slower, and let the same code pass? Run by hand, alone on
// a machine; docs/bench.md has the result:
//
//   npx tsx test/bench/planted.ts save build/planted.json     once
//   npx tsx test/bench/planted.ts check build/planted.json 5  as often as wanted: five pairs of runs
//   npx tsx test/bench/planted.ts ab 5                        the same by A/B runs, which need no baseline
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runAb } from '../../bench/ab/run.ts';
import { parseSide } from '../../bench/ab/side.ts';
import { runSuite } from '../../bench/cli/run-suite.ts';
import { matmulSuite } from '../../bench/suites/matmul.ts';

const SLOWER = 0.15;
const OPTIONS = {
  formats: ['q4_k'],
  m: [1, 32],
  n: [4096],
  k: [4096],
  precision: 'fast',
  variant: undefined,
} as const;
const EXITS: Record<string, string> = { 0: 'passes', 1: 'slower', 3: 'inconclusive' };

const [mode, path, count] = process.argv.slice(2) as [string, string, string?];
const self = fileURLToPath(import.meta.url);

if (mode === 'ab') {
  const argv = ['--format', 'q4_k', '--m', '1,32', '--n', '4096', '--k', '4096'];
  const options = {
    suite: 'matmul',
    argv,
    effort: { timeMs: 500, rounds: undefined, quick: false },
    signal: new AbortController().signal,
    progress: { update() {} },
    threshold: 0.1,
  };
  for (let i = 0; i < Number(path); i++) {
    for (const extraWork of [0, SLOWER]) {
      const told: string[] = [];
      for await (const { a, ratio, verdict } of runAb([parseSide(''), { ...parseSide(''), extraWork }], options)) {
        told.push(`${a.case.replace(/ n=.*/, '')} ${ratio.median.toFixed(3)} ${verdict}`);
      }
      console.log(`${extraWork === 0 ? 'plain' : 'planted'}: ${told.join('; ')}`);
    }
  }
} else if (mode === 'check') {
  for (let i = 0; i < Number(count ?? 1); i++) {
    for (const planted of ['plain', 'planted']) {
      const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', self, planted, path], {
        encoding: 'utf8',
      });
      const results = JSON.parse(stdout) as {
        case: string;
        comparison: { verdict: string; ratio: { median: number } };
      }[];
      const told = results.map(({ case: name, comparison }) => {
        const { verdict, ratio } = comparison;
        return `${name.replace(/ n=.*/, '')} ${ratio.median.toFixed(3)} ${verdict}`;
      });
      console.log(`${planted}: ${EXITS[String(status)]}: ${told.join('; ')}`);
    }
  }
} else {
  await runSuite(
    matmulSuite,
    {
      backend: ['cpu'],
      threads: undefined,
      isa: undefined,
      time: 500,
      rounds: undefined,
      quick: false,
      seed: 1,
      json: true,
      threshold: 0.1,
      retries: 4,
      'save-baseline': mode === 'save' ? path : undefined,
      'compare-baseline': mode === 'save' ? undefined : path,
      'allow-other-hardware': false,
    },
    OPTIONS,
    mode === 'planted' ? { extraWork: SLOWER } : {},
  );
}
