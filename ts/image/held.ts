/** Images on their way to a device that computes the pixel values itself. */
import { holdSteps, type NativeImage } from './native-image';
import type { PreprocessOptions } from './options';
import { checkSameSize, prepareSettled, type Settled } from './prepare';
import type { ImageProcessor } from './processor';
import { kindOf } from './registry';
import type { ImageInput, Tensor } from './types';

/** Memory that a call's images may take together before their values are computed on the host: values are smaller. */
const CALL_BYTES = 256 * 2 ** 20;
const IMAGE_BYTES = 64 * 2 ** 20;

/** Pixel values [images, channels, height, width] that nobody has computed yet. Never leaves the package. */
export class HeldPixels implements Tensor {
  readonly dims: readonly number[];

  constructor(readonly images: readonly NativeImage[]) {
    const first = images[0]!.dims;
    images.forEach(({ dims }, index) => checkSameSize(first, dims, index));
    this.dims = [images.length, ...first];
  }

  get data(): Float32Array {
    throw new Error('expected to be read by the device alone');
  }

  rows(rows: readonly number[]): HeldPixels {
    return new HeldPixels(rows.map((row) => this.images[row]!));
  }
}

/** What processor.preprocessSettled() gives, as images [channels, height, width]. */
export async function holdSettled(
  processor: ImageProcessor,
  images: readonly ImageInput[],
  options: PreprocessOptions,
): Promise<Settled<NativeImage>[]> {
  let left = CALL_BYTES;
  const kind = kindOf(processor.toJSON() as Readonly<Record<string, unknown>>);
  return prepareSettled(kind, processor.settings, images, options, async ({ image, steps, what }) => {
    const room = Math.max(0, Math.min(left, IMAGE_BYTES));
    left -= image.data.length;
    return holdSteps(image, steps, what, room);
  });
}
