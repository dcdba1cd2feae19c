/** Sums of squares fall by less than this share: the fit has ended. */
const ENOUGH = 1e-10;
const MOST_STEPS = 60;
/** Step of a slope, as a share of the parameter. */
const SLOPE = 1e-4;

type Pair = readonly [number, number];

/**
 * The two parameters with the least sum of squared errors: Gauss-Newton, steps halved until they help. The models that
 * are fitted here are piecewise linear in their parameters, so a few steps do.
 * @param errors  Errors of all points for given parameters.
 */
export function fitPair(errors: (parameters: Pair) => readonly number[], start: Pair): Pair {
  const squares = (list: readonly number[]) => list.reduce((sum, error) => sum + error * error, 0);
  let best = start;
  let at = errors(best);
  for (let step = 0; step < MOST_STEPS; step++) {
    const [dx, dy] = [best[0] * SLOPE, best[1] * SLOPE];
    const alongX = errors([best[0] + dx, best[1]]);
    const alongY = errors([best[0], best[1] + dy]);
    let [xx, xy, yy, xe, ye] = [0, 0, 0, 0, 0];
    at.forEach((error, i) => {
      const gx = (alongX[i]! - error) / dx;
      const gy = (alongY[i]! - error) / dy;
      xx += gx * gx;
      xy += gx * gy;
      yy += gy * gy;
      xe += gx * error;
      ye += gy * error;
    });
    const determinant = xx * yy - xy * xy;
    if (determinant === 0) break;
    const [sx, sy] = [(xe * yy - ye * xy) / determinant, (ye * xx - xe * xy) / determinant];
    const before = squares(at);
    let after = before;
    for (let share = 1; share > 1e-3; share /= 2) {
      const next: Pair = [best[0] - share * sx, best[1] - share * sy];
      if (next[0] <= 0 || next[1] <= 0) continue;
      const there = errors(next);
      after = squares(there);
      if (after >= before) continue;
      best = next;
      at = there;
      break;
    }
    if (!(after < before * (1 - ENOUGH))) break;
  }
  return best;
}
