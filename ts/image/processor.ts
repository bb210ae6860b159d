import { kindOf } from './registry';
import type { ProcessorKind } from './kind';
import { runPlaneSteps } from './native-image';
import type { PreprocessOptions } from './options';
import {
  allFulfilled,
  checkSupported,
  prepareSettled,
  stackTensors,
  type BatchImageError,
  type StepsOfImage,
} from './prepare';
import { readBackend, settingsFromConfig, type ImageBackend, type ProcessorSettings } from './settings';
import type { ImageInput, Tensor } from './types';

export type { BatchImageError } from './prepare';

export type PreprocessOutcome =
  | { readonly status: 'fulfilled'; readonly value: { readonly pixelValues: Tensor } } // [1, channels, height, width]
  | { readonly status: 'rejected'; readonly reason: BatchImageError };

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
    checkSupported(this.kind, this.settings);
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
    const values = allFulfilled(await this.preprocessSettled(images, options));
    return { pixelValues: stackTensors(values.map(({ pixelValues }) => pixelValues)) };
  }

  /** One outcome per image, so that a bad image fails alone. Only what concerns the whole call rejects. */
  async preprocessSettled(
    images: ImageInput | readonly ImageInput[],
    options: PreprocessOptions = {},
  ): Promise<PreprocessOutcome[]> {
    return prepareSettled(this.kind, this.settings, images, options, pixelValuesOf);
  }
}

async function pixelValuesOf({ image, steps, what }: StepsOfImage): Promise<{ pixelValues: Tensor }> {
  const { data, dims } = await runPlaneSteps(image, steps, what);
  return { pixelValues: { data, dims: [1, ...dims] } };
}
