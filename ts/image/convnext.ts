import { ConfigError } from '../errors';
import { shortestEdgeExtent, type Extent } from './geometry';
import { BASE, centerCropStep, centerCropSteps, resizeStep, SHORTEST, type ProcessorKind } from './kind';
import type { ImageStep } from './native-image';
import type { ProcessorSettings } from './settings';

/** From this size on the image is warped to a square instead of resized and cropped. */
const WARP_FROM = 384;

function resizeSteps(image: Extent, settings: ProcessorSettings): ImageStep[] {
  if (settings.size.kind !== 'shortestEdge') {
    throw new ConfigError(
      'IMAGE_CONFIG_INVALID',
      `size: expected { shortest_edge }, got ${JSON.stringify(settings.size)}`,
    );
  }
  const side = settings.size.shortest;
  const square = { width: side, height: side };
  if (side >= WARP_FROM) return [resizeStep(square, settings)];
  const resized = shortestEdgeExtent(image, Math.trunc(side / settings.cropPct));
  return [resizeStep(resized, settings), centerCropStep(square, settings)];
}

/** ConvNeXt, ResNet: below 384, shortest edge to size / crop_pct and centre crop; else warp to a square. Bicubic. */
export const convnext: ProcessorKind = {
  name: 'ConvNextImageProcessor',
  defaults: { ...BASE, size: { kind: 'shortestEdge', shortest: 384 }, resample: 3 },
  sizeForms: SHORTEST,
  steps: (image, settings) => [
    ...(settings.doResize ? resizeSteps(image, settings) : []),
    ...centerCropSteps(settings),
  ],
  unsupported: ['doPad'],
};
