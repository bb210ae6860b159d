import { ImageError, OutOfMemoryError } from '../errors';
import { loadNative } from '../native/load';

/** Pillow's numbers: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming. */
export type Resample = 0 | 1 | 2 | 3 | 4 | 5;

/** Whose rounding a step follows: Pillow's and numpy's (absent), or torchvision's on 8-bit tensors. */
export type Arithmetic = 'torchvision';

/** The steps of native/image/steps.h, in the same words. `normalize` may only come last. */
export type ImageStep =
  | {
      readonly op: 'resize';
      readonly width: number;
      readonly height: number;
      readonly filter: Resample;
      readonly reducingGap?: number;
      readonly arithmetic?: Arithmetic | undefined;
    }
  | { readonly op: 'crop'; readonly x: number; readonly y: number; readonly width: number; readonly height: number }
  | {
      readonly op: 'centerCrop';
      readonly width: number;
      readonly height: number;
      readonly arithmetic?: Arithmetic | undefined;
    }
  | {
      readonly op: 'pad';
      readonly left: number;
      readonly top: number;
      readonly right: number;
      readonly bottom: number;
      readonly value: number;
    }
  | { readonly op: 'padCentered'; readonly width: number; readonly height: number; readonly value: number }
  | { readonly op: 'rotate90'; readonly turns: number } // clockwise
  | { readonly op: 'orient'; readonly orientation: number } // EXIF, 1 to 8
  | { readonly op: 'cropMargin'; readonly threshold: number; readonly arithmetic?: Arithmetic | undefined }
  | { readonly op: 'fillTransparent'; readonly red: number; readonly green: number; readonly blue: number }
  | { readonly op: 'toRgb' }
  | { readonly op: 'cmykToRgb' }
  | { readonly op: 'toGray' }
  | {
      readonly op: 'normalize';
      readonly rescale?: number;
      readonly mean?: readonly number[];
      readonly std?: readonly number[];
      readonly arithmetic?: Arithmetic | undefined;
    };

/** Float32 planes [channels, height, width] after `normalize`, else bytes [height, width, channels]. */
export type NativeImageResult =
  | { readonly data: Float32Array; readonly dims: readonly [number, number, number] }
  | { readonly data: Uint8Array; readonly dims: readonly [number, number, number] };

/** An image that the native side holds: its bytes and a program, or, where `prepared`, its values. */
export interface NativeImage {
  readonly dims: readonly [number, number, number]; // of the values: [channels, height, width]
  readonly prepared: boolean;
}

/** What native/addon/image.cpp exports. The pixels are copied before the call returns. */
interface NativeImageModule {
  processImage(
    data: Uint8Array,
    width: number,
    height: number,
    channels: number,
    steps: readonly ImageStep[],
  ): Promise<NativeImageResult>;
  /** Steps that no device has, or that take more than `maxBytes`, run at once. */
  holdImage(
    data: Uint8Array,
    width: number,
    height: number,
    channels: number,
    steps: readonly ImageStep[],
    maxBytes: number,
  ): Promise<NativeImage>;
}

export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** Runs steps that end in bytes. `what` names the image in errors. */
export async function runPixelSteps(pixels: Pixels, steps: readonly ImageStep[], what: string): Promise<Pixels> {
  const { data, dims } = await process(pixels, steps, what);
  return { data: data as Uint8Array, height: dims[0], width: dims[1], channels: dims[2] };
}

/** Runs steps that end in `normalize`: planes [channels, height, width]. */
export async function runPlaneSteps(
  pixels: Pixels,
  steps: readonly ImageStep[],
  what: string,
): Promise<{ data: Float32Array; dims: readonly [number, number, number] }> {
  const { data, dims } = await process(pixels, steps, what);
  return { data: data as Float32Array, dims };
}

/** Steps that end in `normalize`, left to a device where they need at most `maxBytes`. */
export function holdSteps(
  { data, width, height, channels }: Pixels,
  steps: readonly ImageStep[],
  what: string,
  maxBytes: number,
): Promise<NativeImage> {
  return run((native) => native.holdImage(data, width, height, channels, steps, maxBytes), what);
}

function process({ data, width, height, channels }: Pixels, steps: readonly ImageStep[], what: string) {
  return run((native) => native.processImage(data, width, height, channels, steps), what);
}

async function run<T>(call: (native: NativeImageModule) => Promise<T>, what: string): Promise<T> {
  try {
    return await call(loadNative() as unknown as NativeImageModule);
  } catch (error) {
    const message = `${what}: ${(error as Error).message}`;
    if ((error as { code?: string }).code === 'OUT_OF_MEMORY') {
      throw new OutOfMemoryError('OUT_OF_MEMORY', message, { cause: error });
    }
    throw new ImageError('IMAGE_PROCESS_FAILED', message, { cause: error });
  }
}
