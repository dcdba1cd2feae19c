import { describe, it } from 'vitest';

/**
 * `describe` where `need` is null. Else its tests are skipped, and their title ends with what they need, which
 * `npm test` shows.
 */
export function describeWhere(need: string | null, title: string, body: () => void): void {
  if (need === null) describe(title, body);
  else describe.skip(`${title} (needs ${need})`, body);
}

/** `it` for the back ends that it is about; on others there is no such test. */
export const itOn =
  (here: boolean) =>
  (title: string, body: () => void | Promise<void>): void => {
    if (here) it(title, body);
  };
