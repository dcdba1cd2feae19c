import type { CommandModule } from 'yargs';
import { machineInfo } from '../info/machine.ts';
import { modelInfo } from '../info/model.ts';
import { machineReport, modelReport } from '../report/info.ts';

export interface InfoArgs {
  readonly model: string | undefined;
  readonly json: boolean;
}

export const infoCommand: CommandModule<object, InfoArgs> = {
  command: 'info [model]',
  describe: 'Show this machine’s devices and formats, or what a GGUF model holds',
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        describe: 'A GGUF file, or the http(s) address of one: its header is read',
      })
      .options({ json: { type: 'boolean', default: false, describe: 'Print JSON' } })
      .example('$0 info', 'devices, the native binary, formats')
      .example('$0 info model.gguf', 'metadata and tensors, of all parts of a split model'),
  handler: async ({ model, json }) => {
    const [info, report] =
      model === undefined
        ? await withReport(machineInfo(), machineReport)
        : await withReport(modelInfo(model), modelReport);
    process.stdout.write(json ? `${JSON.stringify(info)}\n` : report());
  },
};

/** What was found, and a function that makes text of it. */
async function withReport<T>(found: Promise<T>, report: (info: T) => string): Promise<[T, () => string]> {
  const info = await found;
  return [info, () => report(info)];
}
