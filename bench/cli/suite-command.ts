import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import type { Session } from '../suites/session.ts';
import type { Case, Suite } from '../suites/suite.ts';
import { BASELINE_OPTIONS, OUTPUT_OPTIONS, SESSION_OPTIONS } from './options.ts';
import { checkOptions, runSuite } from './run-suite.ts';

/** A suite's part of the command line. */
interface SuiteCommand<O extends Record<string, Options>, SuiteOptions, Fields> {
  readonly suite: Suite<SuiteOptions, Fields>;
  readonly describe: string;
  readonly options: O;
  readonly examples?: readonly (readonly [string, string])[];
  readonly optionsOf: (args: InferredOptionTypes<O>) => SuiteOptions;
}

/** A suite whose options and results are its own business. */
export interface SuiteEntry {
  readonly name: string;
  readonly command: CommandModule;
  /** Options of the suite and of a session, for whoever parses them without running the command. */
  readonly options: Readonly<Record<string, Options>>;
  /** The suite's cases as parsed options say. @throws ERR_USAGE */
  readonly cases: (session: Session, args: unknown) => AsyncGenerator<Case<unknown>, void, undefined>;
}

export function suiteCommand<const O extends Record<string, Options>, SuiteOptions, Fields>(
  definition: SuiteCommand<O, SuiteOptions, Fields>,
): SuiteEntry {
  const { suite, describe, examples = [], optionsOf } = definition;
  const options = { ...definition.options, ...SESSION_OPTIONS };
  type Args = InferredOptionTypes<O> &
    InferredOptionTypes<typeof SESSION_OPTIONS & typeof BASELINE_OPTIONS & typeof OUTPUT_OPTIONS>;
  const command: CommandModule<object, Args> = {
    command: suite.name,
    describe,
    builder: (yargs) => {
      const own = yargs.options({ ...options, ...BASELINE_OPTIONS, ...OUTPUT_OPTIONS });
      for (const [line, what] of examples) own.example(`$0 ${line}`, what);
      return own as never;
    },
    handler: (args) => runSuite(suite, args as unknown as Args, optionsOf(args as unknown as Args)),
  };
  return {
    name: suite.name,
    command: command as unknown as CommandModule,
    options,
    cases(session, args) {
      const parsed = optionsOf(args as Args);
      checkOptions(suite, parsed);
      return suite.cases(session, parsed);
    },
  };
}
