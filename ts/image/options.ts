import { OptionError } from '../errors';
import { nearest } from '../names';
import { SETTING_NAMES, type ImageBackend } from './settings';

/** Options of `preprocess`: any setting of the processor for this call, in camelCase; sizes as in the config file. */
export interface PreprocessOptions {
  readonly doResize?: boolean;
  readonly size?: number | readonly number[] | Readonly<Record<string, number>>;
  readonly resample?: number;
  readonly doCenterCrop?: boolean;
  readonly cropSize?: number | readonly number[] | Readonly<Record<string, number>>;
  readonly doRescale?: boolean;
  readonly rescaleFactor?: number;
  readonly doNormalize?: boolean;
  readonly imageMean?: number | readonly number[];
  readonly imageStd?: number | readonly number[];
  readonly doPad?: boolean;
  readonly doThumbnail?: boolean;
  readonly doAlignLongAxis?: boolean;
  readonly doCropMargin?: boolean;
  readonly cropPct?: number;
  /** Whose rounding is followed; see docs/images.md. Default: the processor's own, 'pil' unless it was made with another. */
  readonly backend?: ImageBackend;
  /** Make the image grey first (Pillow's `convert('L').convert('RGB')`), as the manga-ocr package does. Default false. */
  readonly grayscale?: boolean;
  /** Images of more pixels are refused before they are decoded. Default 178956970, as in Pillow. */
  readonly maxPixels?: number;
  readonly signal?: AbortSignal;
}

export const PREPROCESS_OPTION_NAMES: readonly string[] = [
  ...SETTING_NAMES,
  'backend',
  'grayscale',
  'maxPixels',
  'signal',
];

/** Refuses unknown names, naming the nearest known one. */
export function checkOptionNames(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw new OptionError(
      'UNKNOWN_OPTION',
      `expected an option of the image processor, got ${name}${near === null ? '' : `; did you mean ${near}?`}`,
    );
  }
}
