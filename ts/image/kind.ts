import { targetExtent, exactExtent, type Extent } from './geometry';
import type { Arithmetic, ImageStep } from './native-image';
import type { ProcessorSettings, SizeForms } from './settings';

/** An image processor as data: its defaults and the steps that lead from an image to the model's pixels. */
export interface ProcessorKind {
  /** The name without suffix: ViTImageProcessor. */
  readonly name: string;
  readonly defaults: ProcessorSettings;
  readonly sizeForms: SizeForms;
  /** Steps whose result has a size that only the pixels decide; run before `steps`. */
  readonly trim?: (settings: ProcessorSettings) => ImageStep[];
  /** Steps on 8-bit pixels, before rescaling and normalising. */
  readonly steps: (image: Extent, settings: ProcessorSettings) => ImageStep[];
  /** Settings that must not be on, as nothing here implements them. */
  readonly unsupported: readonly (keyof ProcessorSettings)[];
}

export const HALF = [0.5, 0.5, 0.5] as const;
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/** What the PIL processors of transformers 5.18 have in common: x 1/255, mean and deviation 0.5, nothing beyond a resize. */
export const BASE: ProcessorSettings = {
  doResize: true,
  size: { kind: 'exact', height: 224, width: 224 },
  resample: 2,
  doCenterCrop: false,
  cropSize: { kind: 'exact', height: 224, width: 224 },
  doRescale: true,
  rescaleFactor: 1 / 255,
  doNormalize: true,
  imageMean: HALF,
  imageStd: HALF,
  doPad: false,
  doThumbnail: false,
  doAlignLongAxis: false,
  doCropMargin: false,
  cropPct: 224 / 256,
  backend: 'pil',
};

export const SQUARE: SizeForms = { square: true, widthFirst: false };
export const SHORTEST: SizeForms = { square: false, widthFirst: false };

/** The arithmetic of steps under these settings. */
export function arithmeticOf({ backend }: ProcessorSettings): Arithmetic | undefined {
  return backend === 'torchvision' ? 'torchvision' : undefined;
}

/** resize to `size`, if it changes anything. */
export function resizeStep(to: Extent, settings: ProcessorSettings): ImageStep {
  const arithmetic = arithmeticOf(settings);
  return { op: 'resize', width: to.width, height: to.height, filter: settings.resample, arithmetic };
}

export function centerCropStep(to: Extent, settings: ProcessorSettings): ImageStep {
  return { op: 'centerCrop', ...to, arithmetic: arithmeticOf(settings) };
}

export function centerCropSteps(settings: ProcessorSettings): ImageStep[] {
  return settings.doCenterCrop ? [centerCropStep(exactExtent(settings.cropSize, 'crop_size'), settings)] : [];
}

/** Resize, then centre crop: every processor without rules of its own. */
export function plainSteps(image: Extent, settings: ProcessorSettings): ImageStep[] {
  const resize = settings.doResize ? [resizeStep(targetExtent(image, settings.size), settings)] : [];
  return [...resize, ...centerCropSteps(settings)];
}

/** A processor of `plainSteps`. */
export function plainKind(
  name: string,
  defaults: Partial<ProcessorSettings>,
  sizeForms: SizeForms = SQUARE,
): ProcessorKind {
  return { name, defaults: { ...BASE, ...defaults }, sizeForms, steps: plainSteps, unsupported: ['doPad'] };
}
