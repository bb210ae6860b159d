import { ImageError, OptionError, UnsupportedError } from '../errors';
import { decodeImage } from './decode';
import { arithmeticOf, type ProcessorKind } from './kind';
import { runPixelSteps, runPlaneSteps, type ImageStep } from './native-image';
import { checkOptionNames, PREPROCESS_OPTION_NAMES, type PreprocessOptions } from './options';
import { kindOf } from './registry';
import {
  readBackend,
  settingsFromConfig,
  settingsFromOptions,
  type ImageBackend,
  type ProcessorSettings,
} from './settings';
import type { ImageInput, Tensor } from './types';

/** An ImageError of a batch says which image it is about. */
export type BatchImageError = ImageError & { index?: number };

export type PreprocessOutcome =
  | { readonly status: 'fulfilled'; readonly value: { readonly pixelValues: Tensor } } // [1, channels, height, width]
  | { readonly status: 'rejected'; readonly reason: BatchImageError };

/** Images in work at once: as many as Node's thread pool takes, so that memory does not grow with the batch. */
const CONCURRENCY = 4;

/** Turns images into a model's pixel values, by the PIL rules of transformers 5.18 or, if asked, by the torchvision ones. */
export class ImageProcessor {
  private readonly kind: ProcessorKind;
  readonly settings: ProcessorSettings;

  /** `config` is the content of preprocessor_config.json, or the `image_processor` of processor_config.json. */
  constructor(
    private readonly config: Readonly<Record<string, unknown>>,
    options: { readonly backend?: ImageBackend | undefined } = {},
  ) {
    this.kind = kindOf(config);
    const defaults = { ...this.kind.defaults, backend: readBackend(options.backend, 'pil') };
    this.settings = settingsFromConfig(defaults, config, this.kind.sizeForms);
    this.checkSupported(this.settings);
  }

  /** The processor's name without backend suffix. */
  get type(): string {
    return this.kind.name;
  }

  /** The configuration as it was read. */
  toJSON(): object {
    return { ...this.config };
  }

  /**
   * Pixel values [images, 3, height, width], in order. The first image that fails rejects the call with an ImageError
   * whose `index` is its place.
   */
  async preprocess(
    images: ImageInput | readonly ImageInput[],
    options: PreprocessOptions = {},
  ): Promise<{ pixelValues: Tensor }> {
    const outcomes = await this.preprocessSettled(images, options);
    return {
      pixelValues: stack(
        outcomes.map((outcome) => {
          if (outcome.status === 'rejected') throw outcome.reason;
          return outcome.value.pixelValues;
        }),
      ),
    };
  }

  /** One outcome per image, so that a bad image fails alone. Only what concerns the whole call rejects. */
  async preprocessSettled(
    images: ImageInput | readonly ImageInput[],
    options: PreprocessOptions = {},
  ): Promise<PreprocessOutcome[]> {
    checkOptionNames(options, PREPROCESS_OPTION_NAMES);
    const settings = settingsFromOptions(this.settings, options as Record<string, unknown>, this.kind.sizeForms);
    this.checkSupported(settings);
    if (options.grayscale !== undefined && typeof options.grayscale !== 'boolean')
      throw new OptionError('INVALID_OPTION', `grayscale: expected true or false, got ${String(options.grayscale)}`);
    const list: readonly ImageInput[] = Array.isArray(images) ? (images as ImageInput[]) : [images as ImageInput];
    if (list.length === 0)
      throw new OptionError('EMPTY_BATCH', 'images: expected at least one image, got an empty list');
    return mapLimited(list, CONCURRENCY, (image, index) => this.settle(image, index, settings, options));
  }

  private async settle(
    image: ImageInput,
    index: number,
    settings: ProcessorSettings,
    options: PreprocessOptions,
  ): Promise<PreprocessOutcome> {
    try {
      return { status: 'fulfilled', value: { pixelValues: await this.one(image, settings, options) } };
    } catch (error) {
      if (!(error instanceof ImageError) || error.code === 'IMAGE_DECODER_MISSING') throw error;
      return { status: 'rejected', reason: Object.assign(error, { index }) };
    }
  }

  private async one(input: ImageInput, settings: ProcessorSettings, options: PreprocessOptions): Promise<Tensor> {
    const { maxPixels, signal } = options;
    const decoded = await decodeImage(input, {
      ...(maxPixels !== undefined && { maxPixels }),
      ...(signal && { signal }),
    });
    const grey: ImageStep[] = options.grayscale === true ? [{ op: 'toGray' }, { op: 'toRgb' }] : [];
    const trim = [...grey, ...(this.kind.trim?.(settings) ?? [])];
    const image = trim.length === 0 ? decoded : await runPixelSteps(decoded, trim, 'image');
    signal?.throwIfAborted();
    const steps = [...this.kind.steps(image, settings), normalizeStep(settings)];
    const { data, dims } = await runPlaneSteps(image, steps, `image of ${image.width}x${image.height}`);
    signal?.throwIfAborted();
    return { data, dims: [1, ...dims] };
  }

  private checkSupported(settings: ProcessorSettings): void {
    if (settings.backend === 'torchvision' && settings.resample > 3) {
      const message = `resample: expected 0 to 3 with the backend torchvision, which has no filter ${settings.resample}`;
      throw new UnsupportedError('UNSUPPORTED_IMAGE_OPTION', message);
    }
    const on = this.kind.unsupported.find((name) => settings[name] === true);
    if (on === undefined) return;
    throw new UnsupportedError('UNSUPPORTED_IMAGE_OPTION', `${on}: expected false for ${this.kind.name}, got true`);
  }
}

function normalizeStep(settings: ProcessorSettings): ImageStep {
  return {
    op: 'normalize',
    ...(settings.doRescale && { rescale: settings.rescaleFactor }),
    ...(settings.doNormalize && { mean: settings.imageMean, std: settings.imageStd }),
    arithmetic: arithmeticOf(settings),
  };
}

/** [1, c, h, w] tensors of one size to [n, c, h, w]. */
function stack(tensors: readonly Tensor[]): Tensor {
  const first = tensors[0] as Tensor;
  if (tensors.length === 1) return first;
  const data = new Float32Array(first.data.length * tensors.length);
  tensors.forEach((tensor, index) => {
    if (tensor.dims.join() !== first.dims.join()) {
      const message = `image ${index} of the batch: expected pixel values [${first.dims.slice(1).join(', ')}] as of image 0, got [${tensor.dims.slice(1).join(', ')}]`;
      throw Object.assign(new ImageError('IMAGE_SIZE_MISMATCH', message), { index });
    }
    data.set(tensor.data, index * first.data.length);
  });
  return { data, dims: [tensors.length, ...first.dims.slice(1)] };
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
