import { memorySuite } from '../suites/memory.ts';
import { sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

export const memoryCommand = suiteCommand({
  suite: memorySuite,
  describe: 'Measure getting, filling and reading memory, mapped against copied weights, and the peak',
  options: { mib: sizes('mib', 'MiB of a buffer or of weights', '1,64') },
  optionsOf: ({ mib }) => ({ mib }),
});
