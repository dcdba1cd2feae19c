import type { CommandModule } from 'yargs';
import { packageRoot } from '../../ts/backends/native.ts';
import { TilewrightError } from '../../ts/errors.ts';

interface BuildModule {
  buildNative(options: { log?: (line: string) => void }): Promise<string>;
}

export const buildCommand: CommandModule<object, { quiet: boolean }> = {
  command: 'build',
  describe:
    'Compile the native binary for this machine from the sources in the package (needs make and a C++ compiler)',
  builder: (yargs) =>
    yargs.options({ quiet: { type: 'boolean', default: false, describe: 'Show errors of the compiler only' } }),
  handler: async ({ quiet }) => {
    const script = new URL('bin/build-native.js', packageRoot).href;
    const { buildNative } = (await import(script)) as BuildModule;
    try {
      const folder = await buildNative(quiet ? { log: () => {} } : {});
      process.stdout.write(`Built ${folder}/tilewright.node\n`);
    } catch (cause) {
      throw new TilewrightError('ERR_NATIVE_MISSING', `The native binary was not built: ${(cause as Error).message}`, {
        cause,
      });
    }
  },
};
