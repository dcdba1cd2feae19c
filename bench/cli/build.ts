import type { CommandModule } from 'yargs';
import { packageRoot } from '../../ts/backends/native.ts';
import { TilewrightError } from '../../ts/errors.ts';

interface BuildModule {
  buildNative(options: { log?: (line: string) => void }): Promise<string>;
}
interface BridgeModule {
  bridgeProblem(): string | null;
  buildBridge(options: { quiet: boolean }): Promise<string>;
}

export const buildCommand: CommandModule<object, { quiet: boolean }> = {
  command: 'build',
  describe:
    'Compile the native binary for this machine from the sources in the package (needs make and a C++ compiler), and on ' +
    'a Mac the Metal bridge (needs the Command Line Tools)',
  builder: (yargs) =>
    yargs.options({ quiet: { type: 'boolean', default: false, describe: 'Show errors of the compiler only' } }),
  handler: async ({ quiet }) => {
    const script = new URL('bin/build-native.js', packageRoot).href;
    const { buildNative } = (await import(script)) as BuildModule;
    try {
      const folder = await buildNative(quiet ? { log: () => {} } : {});
      process.stdout.write(`Built ${folder}/tilewright.node\n`);
      if (process.platform === 'darwin') await buildMetal(quiet);
    } catch (cause) {
      throw new TilewrightError('ERR_NATIVE_MISSING', `The native binary was not built: ${(cause as Error).message}`, {
        cause,
      });
    }
  },
};

/** A Mac without Swift keeps the CPU back end, and is told how to get the other. */
async function buildMetal(quiet: boolean): Promise<void> {
  const script = new URL('bin/build-bridge.js', packageRoot).href;
  const { bridgeProblem, buildBridge } = (await import(script)) as BridgeModule;
  const problem = bridgeProblem();
  if (problem === null) process.stdout.write(`Built ${await buildBridge({ quiet })}\n`);
  else process.stdout.write(`The Metal bridge was not built: ${problem}\n`);
}
