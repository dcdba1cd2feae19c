/** Exit codes: what a script may rely on. */
export const EXIT = {
  ok: 0,
  /** Something did not work. */
  failed: 1,
  /** The arguments are wrong: nothing was done. */
  usage: 2,
  /** Something became slower than its baseline, or B is slower than A. The same as `failed`: scripts stop at both. */
  regression: 1,
  /** The machine is not what it was when the baseline was measured: neither a pass nor a failure. */
  inconclusive: 3,
  /** Stopped by Ctrl-C; what was measured until then was printed. */
  interrupted: 130,
} as const;
