/** Exit codes: what a script may rely on. */
export const EXIT = {
  ok: 0,
  /** Something did not work. */
  failed: 1,
  /** The arguments are wrong: nothing was done. */
  usage: 2,
  /** Stopped by Ctrl-C; what was measured until then was printed. */
  interrupted: 130,
} as const;
