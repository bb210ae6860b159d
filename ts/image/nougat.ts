import { pageSteps } from './donut';
import { BASE, IMAGENET_MEAN, IMAGENET_STD, SQUARE, type ProcessorKind } from './kind';

/** Levels below this, after stretching, are content. */
const MARGIN_THRESHOLD = 200;

/** Nougat: crop the margin, then the page layout of Donut with a bicubic thumbnail of reducing gap 2. */
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
  trim: (settings) => (settings.doCropMargin ? [{ op: 'cropMargin', threshold: MARGIN_THRESHOLD }] : []),
  steps: (image, settings) => pageSteps(image, settings, (to) => ({ op: 'resize', ...to, filter: 3, reducingGap: 2 })),
  unsupported: [],
};
