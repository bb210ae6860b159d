import { pageSteps } from './donut';
import { arithmeticOf, BASE, IMAGENET_MEAN, IMAGENET_STD, SQUARE, type ProcessorKind } from './kind';
import type { Extent } from './geometry';
import type { ImageStep } from './native-image';
import type { ProcessorSettings } from './settings';

/** Levels below this, after stretching, are content. */
const MARGIN_THRESHOLD = 200;

/** Bicubic; in the PIL form with a reducing gap of 2. */
function thumbnailStep(to: Extent, settings: ProcessorSettings): ImageStep {
  const arithmetic = arithmeticOf(settings);
  return { op: 'resize', ...to, filter: 3, arithmetic, ...(arithmetic === undefined && { reducingGap: 2 }) };
}

/** Nougat: crop the margin, then the page layout of Donut with a thumbnail of its own. */
export const nougat: ProcessorKind = {
  name: 'NougatImageProcessor',
  defaults: {
    ...BASE,
    size: { kind: 'exact', height: 896, width: 672 },
    imageMean: IMAGENET_MEAN,
    imageStd: IMAGENET_STD,
    doThumbnail: true,
    doPad: true,
    doCropMargin: true,
  },
  sizeForms: SQUARE,
  trim: (settings) =>
    settings.doCropMargin
      ? [{ op: 'cropMargin', threshold: MARGIN_THRESHOLD, arithmetic: arithmeticOf(settings) }]
      : [],
  steps: (image, settings) => pageSteps(image, settings, (to) => thumbnailStep(to, settings)),
  unsupported: [],
};
