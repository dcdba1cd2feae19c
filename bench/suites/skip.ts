import { TilewrightError } from '../../ts/errors.ts';
import type { Session } from './session.ts';

/** What `make` gives; null, and the session is told, if no kernel takes the problem or the types. */
export function skipping<T>(session: Session, what: string, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TilewrightError)) throw error;
    if (error.code !== 'ERR_NO_KERNEL' && error.code !== 'ERR_DTYPE_UNSUPPORTED') throw error;
    session.skipped(what, error.message);
    return null;
  }
}
