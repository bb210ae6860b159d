import { CLIP_MEAN, CLIP_STD, plainKind, SHORTEST, SQUARE } from './kind';
import type { ProcessorSettings } from './settings';

const clipDefaults: Partial<ProcessorSettings> = {
  size: { kind: 'shortestEdge', shortest: 224 },
  resample: 3,
  doCenterCrop: true,
  imageMean: CLIP_MEAN,
  imageStd: CLIP_STD,
};

/** CLIP: shortest edge 224 bicubic, centre crop 224. */
export const clip = plainKind('CLIPImageProcessor', clipDefaults, SHORTEST);

/** BiT and DINOv2: the steps of CLIP. */
export const bit = plainKind('BitImageProcessor', clipDefaults, SHORTEST);

/** BLIP: resize to 384x384 bicubic, CLIP's mean and deviation. */
export const blip = plainKind(
  'BlipImageProcessor',
  { size: { kind: 'exact', height: 384, width: 384 }, resample: 3, imageMean: CLIP_MEAN, imageStd: CLIP_STD },
  SQUARE,
);
