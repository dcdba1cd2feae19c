// One side of `bench ab`, in a process of its own: does what the other end of the channel asks, one thing at a time.
import yargs from 'yargs';
import { TilewrightError } from '../../ts/errors.ts';
import { SUITES } from '../cli/bench.ts';
import { openDevices, sessionOn } from '../cli/open-session.ts';
import type { SessionArgs } from '../cli/options.ts';
import { environmentOf } from '../info/environment.ts';
import { localSampler, type Sampler } from '../suites/measure.ts';
import type { Session } from '../suites/session.ts';
import type { Case } from '../suites/suite.ts';
import { AB_PROTOCOL, type Answers, type Reply, type Request } from './protocol.ts';

let session: Session | null = null;
let cases: AsyncGenerator<Case<unknown>, void, undefined> | null = null;
let sampler: Sampler | null = null;

async function open({ protocol, suite, argv, extraWork }: Request & { type: 'open' }): Promise<Answers['open']> {
  if (protocol !== AB_PROTOCOL) {
    throw new TilewrightError(
      'ERR_USAGE',
      `This build takes part in A/B runs of protocol ${AB_PROTOCOL}, not ${protocol}.`,
    );
  }
  const entry = SUITES.find(({ name }) => name === suite);
  if (entry === undefined) {
    throw new TilewrightError(
      'ERR_USAGE',
      `There is no suite ${suite}: they are ${SUITES.map(({ name }) => name).join(', ')}.`,
    );
  }
  const args = await yargs([...argv])
    .options(entry.options)
    .strict()
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error instanceof TilewrightError ? error : new TilewrightError('ERR_USAGE', message ?? String(error));
    })
    .parseAsync();
  const { value: device } = await openDevices(args as unknown as SessionArgs).next();
  if (!device) throw new TilewrightError('ERR_BACKEND_UNAVAILABLE', 'No back end works here.');
  session = {
    ...sessionOn(device, args as unknown as SessionArgs, {
      signal: new AbortController().signal,
      progress: { update() {} },
      skipped(what, why) {
        throw new TilewrightError('ERR_NO_KERNEL', `${what}: ${why}`);
      },
    }),
    ...(extraWork === undefined ? {} : { extraWork }),
  };
  cases = entry.cases(session, args);
  return { environment: environmentOf(device) };
}

async function next(): Promise<Answers['next']> {
  sampler = null;
  const { value: subject } = await cases!.next();
  if (!subject) return { name: null };
  sampler = await localSampler(session!, subject.operations);
  return { name: subject.name };
}

async function answer(request: Request): Promise<Answers[keyof Answers]> {
  switch (request.type) {
    case 'open':
      return await open(request);
    case 'next':
      return await next();
    case 'warm up':
      return { warmUp: await sampler!.warmUp(), batch: sampler!.batch, copies: sampler!.copies };
    case 'probe':
      return { reading: await sampler!.probe() };
    case 'round':
      return { round: await sampler!.round() };
  }
}

process.on('message', (request: Request) => {
  answer(request).then(
    (found) => process.send!({ type: 'answer', answer: found } satisfies Reply),
    (error: unknown) => {
      const code = error instanceof TilewrightError ? error.code : 'ERR_NATIVE_FAILURE';
      const message = error instanceof TilewrightError ? error.message : ((error as Error).stack ?? String(error));
      process.send!({ type: 'error', code, message } satisfies Reply);
    },
  );
});
// Whoever asked is gone: so is everything that is under way.
process.on('disconnect', () => process.exit());
