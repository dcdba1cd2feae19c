import type { ElementwiseCatalogue } from '../../device/elementwise.ts';
import { TilewrightError } from '../../errors.ts';

const refuse = (what: string) => () => {
  throw new TilewrightError('ERR_NO_KERNEL', `The hip back end has no kernel for ${what} yet.`);
};

export const hipElementwise: ElementwiseCatalogue = {
  copy: refuse('copies'),
  softmax: refuse('softmax'),
  dequantize: refuse('dequantization'),
};
