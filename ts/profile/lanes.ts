/** Something with a beginning and an end. */
export interface Slice {
  readonly begin: number;
  readonly end: number;
}

/** Slices that meet by less than this follow each other: 10 nanoseconds, where times are milliseconds. */
const TOLERANCE = 1e-5;

/**
 * A lane for each slice, so that any two of a lane lie one within the other, or apart: what trace viewers ask of the slices
 * of a thread. Lanes are as few as the order of beginnings allows.
 */
export function lanesOf(slices: readonly Slice[]): number[] {
  const order = slices
    .map((_, i) => i)
    .sort((a, b) => slices[a]!.begin - slices[b]!.begin || slices[b]!.end - slices[a]!.end);
  /** Ends of the slices that are open, outermost first, per lane. */
  const open: number[][] = [];
  const lanes = new Array<number>(slices.length).fill(0);
  for (const i of order) {
    const { begin, end } = slices[i]!;
    let lane = open.findIndex((ends) => {
      while (ends.length > 0 && ends.at(-1)! <= begin + TOLERANCE) ends.pop();
      return ends.length === 0 || end <= ends.at(-1)! + TOLERANCE;
    });
    if (lane < 0) lane = open.push([]) - 1;
    open[lane]!.push(end);
    lanes[i] = lane;
  }
  return lanes;
}
