/** Work of a device, and when JavaScript submitted it and learned of its end, in milliseconds of either's clock. */
export interface Bracket {
  readonly submitted: number;
  readonly done: number;
  /** By the device's clock. */
  readonly begin: number;
  readonly end: number;
}

/**
 * By how much the device's clock has to be moved to the host's, for each piece of work. The clocks are never asked at the
 * same time, but work cannot have begun before it was submitted, nor ended after its end was known: that leaves a range,
 * and over many pieces a narrow one. Of that range the earliest is taken, which is off by the shortest time that a
 * submit took to reach the device. Where clocks drift apart so far that no one offset fits, another begins.
 */
export function alignClocks(work: readonly Bracket[]): number[] {
  const order = work.map((_, i) => i).sort((a, b) => work[a]!.begin - work[b]!.begin);
  const offsets = new Array<number>(work.length).fill(0);
  let group: number[] = [];
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const close = () => {
    for (const i of group) offsets[i] = low;
    group = [];
    [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  };
  for (const i of order) {
    const { submitted, done, begin, end } = work[i]!;
    const [least, most] = [submitted - begin, done - end];
    // Ranges of one offset may miss each other by the rounding of their four differences, which is no drift.
    const rounding = 4 * Number.EPSILON * Math.max(...[submitted, done, begin, end].map(Math.abs));
    if (group.length > 0 && (least > high + rounding || most < low - rounding)) close();
    group.push(i);
    low = Math.max(low, least);
    high = Math.min(high, most);
  }
  close();
  return inTurn(work, order, offsets);
}

/**
 * A device that does one piece after the other, but tells of a piece that waited behind another one when it was handed
 * over and not when it began (an event on a stream has no absolute time): such a piece began when the other ended.
 */
function inTurn(work: readonly Bracket[], order: readonly number[], offsets: readonly number[]): number[] {
  const moved = [...offsets];
  let free = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    const { begin, end, done } = work[i]!;
    const late = free - (begin + moved[i]!);
    // Not beyond what is known of its end.
    if (late > 0) moved[i]! += Math.max(0, Math.min(late, done - (end + moved[i]!)));
    free = Math.max(free, end + moved[i]!);
  }
  return moved;
}
