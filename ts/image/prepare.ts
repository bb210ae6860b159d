/** What is the same for every way to pixel values: options, decoding, the steps of a processor, errors per image. */
import { ImageError, OptionError, UnsupportedError } from '../errors';
import { decodeImage } from './decode';
import { arithmeticOf, type ProcessorKind } from './kind';
import { runPixelSteps, type ImageStep, type Pixels } from './native-image';
import { checkOptionNames, PREPROCESS_OPTION_NAMES, type PreprocessOptions } from './options';
import { settingsFromOptions, type ProcessorSettings } from './settings';
import type { ImageInput, Tensor } from './types';

/** An ImageError of a batch says which image it is about. */
export type BatchImageError = ImageError & { index?: number };

export type Settled<T> =
  | { readonly status: 'fulfilled'; readonly value: T }
  | { readonly status: 'rejected'; readonly reason: BatchImageError };

/** A decoded image and the steps that lead to its pixel values; they end in `normalize`. */
export interface StepsOfImage {
  readonly image: Pixels;
  readonly steps: readonly ImageStep[];
  /** The image in errors. */
  readonly what: string;
}

/** Images in work at once: as many as Node's thread pool takes, so that memory does not grow with the batch. */
const CONCURRENCY = 4;

/**
 * What `finish` makes of each image, or the error of that image, so that a bad one fails alone. Only what concerns the whole
 * call rejects.
 */
export async function prepareSettled<T>(
  kind: ProcessorKind,
  base: ProcessorSettings,
  images: ImageInput | readonly ImageInput[],
  options: PreprocessOptions,
  finish: (work: StepsOfImage) => Promise<T>,
): Promise<Settled<T>[]> {
  checkOptionNames(options, PREPROCESS_OPTION_NAMES);
  const settings = settingsFromOptions(base, options as Record<string, unknown>, kind.sizeForms);
  checkSupported(kind, settings);
  if (options.grayscale !== undefined && typeof options.grayscale !== 'boolean')
    throw new OptionError('INVALID_OPTION', `grayscale: expected true or false, got ${String(options.grayscale)}`);
  const list: readonly ImageInput[] = Array.isArray(images) ? (images as ImageInput[]) : [images as ImageInput];
  if (list.length === 0) throw new OptionError('EMPTY_BATCH', 'images: expected at least one image, got an empty list');
  return mapLimited(list, CONCURRENCY, async (input, index): Promise<Settled<T>> => {
    try {
      const work = await stepsOf(input, kind, settings, options);
      const value = await finish(work);
      options.signal?.throwIfAborted();
      return { status: 'fulfilled', value };
    } catch (error) {
      if (!(error instanceof ImageError) || error.code === 'IMAGE_DECODER_MISSING') throw error;
      return { status: 'rejected', reason: Object.assign(error, { index }) };
    }
  });
}

/** The values in order. The first image that failed throws. */
export function allFulfilled<T>(outcomes: readonly Settled<T>[]): T[] {
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** Throws where image `index` has not the size of image 0: `dims` are [channels, height, width]. */
export function checkSameSize(first: readonly number[], dims: readonly number[], index: number): void {
  if (dims.join() === first.join()) return;
  const message = `image ${index} of the batch: expected pixel values [${first.join(', ')}] as of image 0, got [${dims.join(', ')}]`;
  throw Object.assign(new ImageError('IMAGE_SIZE_MISMATCH', message), { index });
}

/** [1, c, h, w] tensors of one size to [n, c, h, w]. */
export function stackTensors(tensors: readonly Tensor[]): Tensor {
  const first = tensors[0] as Tensor;
  if (tensors.length === 1) return first;
  const data = new Float32Array(first.data.length * tensors.length);
  tensors.forEach((tensor, index) => {
    checkSameSize(first.dims.slice(1), tensor.dims.slice(1), index);
    data.set(tensor.data, index * first.data.length);
  });
  return { data, dims: [tensors.length, ...first.dims.slice(1)] };
}

async function stepsOf(
  input: ImageInput,
  kind: ProcessorKind,
  settings: ProcessorSettings,
  { maxPixels, signal, grayscale }: PreprocessOptions,
): Promise<StepsOfImage> {
  const decoded = await decodeImage(input, {
    ...(maxPixels !== undefined && { maxPixels }),
    ...(signal && { signal }),
  });
  const grey: ImageStep[] = grayscale === true ? [{ op: 'toGray' }, { op: 'toRgb' }] : [];
  const trim = [...grey, ...(kind.trim?.(settings) ?? [])];
  const image = trim.length === 0 ? decoded : await runPixelSteps(decoded, trim, 'image');
  signal?.throwIfAborted();
  const steps = [...kind.steps(image, settings), normalizeStep(settings)];
  return { image, steps, what: `image of ${image.width}x${image.height}` };
}

export function checkSupported(kind: ProcessorKind, settings: ProcessorSettings): void {
  if (settings.backend === 'torchvision' && settings.resample > 3) {
    const message = `resample: expected 0 to 3 with the backend torchvision, which has no filter ${settings.resample}`;
    throw new UnsupportedError('UNSUPPORTED_IMAGE_OPTION', message);
  }
  const on = kind.unsupported.find((name) => settings[name] === true);
  if (on === undefined) return;
  throw new UnsupportedError('UNSUPPORTED_IMAGE_OPTION', `${on}: expected false for ${kind.name}, got true`);
}

function normalizeStep(settings: ProcessorSettings): ImageStep {
  return {
    op: 'normalize',
    ...(settings.doRescale && { rescale: settings.rescaleFactor }),
    ...(settings.doNormalize && { mean: settings.imageMean, std: settings.imageStd }),
    arithmetic: arithmeticOf(settings),
  };
}

/** Promise.all over `items`, at most `limit` at a time; after a rejection nothing new is started. */
async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  run: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await run(items[index] as T, index);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}
