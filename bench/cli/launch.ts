import { launchSuite } from '../suites/launch.ts';
import { sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

export const launchCommand = suiteCommand({
  suite: launchSuite,
  describe: 'Measure what a launch costs: alone, several in flight, batched in one submit, replayed',
  options: { batch: sizes('batch', 'Launches together', '16,256') },
  optionsOf: ({ batch }) => ({ batch }),
});
