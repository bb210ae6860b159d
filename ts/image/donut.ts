import { axesDiffer, exactExtent, shortestEdgeExtent, thumbnailExtent, type Extent } from './geometry';
import { BASE, centerCropSteps, resizeStep, type ProcessorKind } from './kind';
import type { ImageStep, Resample } from './native-image';
import type { ProcessorSettings } from './settings';

const BICUBIC: Resample = 3;

/**
 * The page layout of Donut and Nougat: turn to the target's long axis, shortest edge to the target's short side, shrink
 * into the target, pad with black. `thumbnail` makes the shrinking step.
 */
export function pageSteps(
  image: Extent,
  settings: ProcessorSettings,
  thumbnail: (to: Extent) => ImageStep,
): ImageStep[] {
  const target = exactExtent(settings.size, 'size');
  const steps: ImageStep[] = [];
  let now = image;
  if (settings.doAlignLongAxis && axesDiffer(now, target)) {
    steps.push({ op: 'rotate90', turns: 1 });
    now = { width: now.height, height: now.width };
  }
  if (settings.doResize) {
    now = shortestEdgeExtent(now, Math.min(target.height, target.width));
    steps.push(resizeStep(now, settings));
  }
  const small = thumbnailExtent(now, target);
  if (settings.doThumbnail && (small.width !== now.width || small.height !== now.height)) steps.push(thumbnail(small));
  if (settings.doPad) steps.push({ op: 'padCentered', ...target, value: 0 });
  return steps;
}

/** In the PIL form filter 0 counts as unset for the thumbnail, as `resample or BICUBIC` does in transformers 5.18. */
function donutSteps(image: Extent, settings: ProcessorSettings): ImageStep[] {
  const unset = settings.resample === 0 && settings.backend === 'pil';
  const page = pageSteps(image, settings, (to) =>
    resizeStep(to, unset ? { ...settings, resample: BICUBIC } : settings),
  );
  return [...page, ...centerCropSteps(settings)];
}

/** Donut, by the rules of transformers 5.18 (the thumbnail uses `resample`, without reducing gap). */
export const donut: ProcessorKind = {
  name: 'DonutImageProcessor',
  defaults: { ...BASE, size: { kind: 'exact', height: 2560, width: 1920 }, doThumbnail: true, doPad: true },
  sizeForms: { square: true, widthFirst: true },
  steps: donutSteps,
  unsupported: [],
};
