import { ImageError, OptionError, VedError } from '../errors';
import { gifTransparentColour } from './gif';
import { runPixelSteps, type ImageStep } from './native-image';
import { loadSharp, type SharpMetadata, type SharpOptions } from './sharp';
import { describeSource, readSource } from './source';
import type { DecodedImage, ImageInput, RawImage } from './types';

/** Where Pillow raises DecompressionBombError: twice its Image.MAX_IMAGE_PIXELS. */
export const DEFAULT_MAX_PIXELS = 178956970;

export interface DecodeOptions {
  /** Larger images are refused before they are decoded. Default 178956970, as in Pillow. */
  readonly maxPixels?: number;
  readonly signal?: AbortSignal;
}

const FORMATS = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif']);
const SPACES = new Set(['srgb', 'rgb', 'b-w', 'rgb16', 'grey16', 'cmyk']);

/**
 * The upright RGB pixels of an image, equal to Pillow's `ImageOps.exif_transpose(image).convert('RGB')`; docs/images.md
 * lists what differs. First frame or page only; raw pixels are neither rotated nor converted beyond their channels.
 */
export async function decodeImage(input: ImageInput, options: DecodeOptions = {}): Promise<DecodedImage> {
  options.signal?.throwIfAborted();
  const maxPixels = checkMaxPixels(options.maxPixels);
  if (isRaw(input)) return decodeRaw(input, maxPixels);
  if (typeof input !== 'string' && !(input instanceof URL) && !(input instanceof Uint8Array)) {
    throw new ImageError(
      'IMAGE_INPUT_INVALID',
      `expected a path, URL, Uint8Array or raw pixels, got ${describeValue(input)}`,
    );
  }
  const bytes = await readSource(input, options.signal);
  options.signal?.throwIfAborted();
  return decodeBytes(bytes, describeSource(input), maxPixels);
}

function isRaw(input: unknown): input is RawImage {
  return typeof input === 'object' && input !== null && !(input instanceof Uint8Array) && 'data' in input;
}

function describeValue(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function checkMaxPixels(value: number | undefined): number {
  if (value === undefined) return DEFAULT_MAX_PIXELS;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new OptionError('INVALID_OPTION', `maxPixels: expected a positive whole number, got ${value}`);
}

function checkPixelCount(width: number, height: number, maxPixels: number, what: string): void {
  if (width * height <= maxPixels) return;
  throw new ImageError(
    'IMAGE_TOO_LARGE',
    `${what}: expected at most ${maxPixels} pixels (maxPixels), got ${width}x${height} = ${width * height}`,
  );
}

async function decodeRaw(image: RawImage, maxPixels: number): Promise<DecodedImage> {
  const { data, width, height, channels } = image;
  if (!(data instanceof Uint8Array) || ![1, 3, 4].includes(channels)) {
    throw new ImageError(
      'IMAGE_INPUT_INVALID',
      `raw pixels: expected a Uint8Array of 1, 3 or 4 channels, got ${channels} channels`,
    );
  }
  if (!(Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0)) {
    throw new ImageError(
      'IMAGE_INPUT_INVALID',
      `raw pixels: expected a positive width and height, got ${width}x${height}`,
    );
  }
  checkPixelCount(width, height, maxPixels, 'raw pixels');
  if (data.byteLength !== width * height * channels) {
    throw new ImageError(
      'IMAGE_INPUT_INVALID',
      `raw pixels: expected ${width * height * channels} bytes (${width}x${height}x${channels}), got ${data.byteLength}`,
    );
  }
  if (channels === 3) return { data, width, height, channels: 3 };
  return rgb(await runPixelSteps(image, [{ op: 'toRgb' }], 'raw pixels'));
}

async function decodeBytes(bytes: Buffer, what: string, maxPixels: number): Promise<DecodedImage> {
  const sharp = loadSharp();
  // One frame; profiles ignored; our own limit, checked below, has its own error.
  const options: SharpOptions = { ignoreIcc: true, limitInputPixels: false, failOn: 'error', page: 0, pages: 1 };
  try {
    const metadata = await sharp(bytes, options).metadata();
    const { width = 0, height = 0 } = metadata;
    checkSupported(metadata, what);
    checkPixelCount(width, height, maxPixels, what);
    const pipeline = sharp(bytes, { ...options, limitInputPixels: maxPixels });
    // Without this libvips would convert CMYK through a profile of its own.
    if (metadata.space === 'cmyk') pipeline.pipelineColourspace('cmyk').toColourspace('cmyk');
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
    const pixels = { data, width: info.width, height: info.height, channels: info.channels };
    const steps = uprightRgb(metadata, info.channels, bytes);
    return rgb(steps.length === 0 ? pixels : await runPixelSteps(pixels, steps, what));
  } catch (error) {
    if (error instanceof VedError) throw error;
    const message = `${what}: expected a JPEG, PNG, WebP, GIF, TIFF or AVIF image, got: ${(error as Error).message.trim()}`;
    throw new ImageError('IMAGE_DECODE_FAILED', message, { cause: error });
  }
}

function checkSupported(metadata: SharpMetadata, what: string): void {
  const { format = 'unknown', space = 'unknown', depth = 'unknown' } = metadata;
  if (!FORMATS.has(format)) {
    throw new ImageError('IMAGE_DECODE_FAILED', `${what}: expected JPEG, PNG, WebP, GIF, TIFF or AVIF, got ${format}`);
  }
  const plain = depth === 'uchar' || (depth === 'ushort' && space !== 'cmyk');
  if (!SPACES.has(space) || !plain) {
    throw new ImageError(
      'IMAGE_DECODE_FAILED',
      `${what}: expected grey, RGB or CMYK of 8 or 16 bits, got ${space} of ${depth}`,
    );
  }
}

/** What is left to do after sharp, which gives 8-bit grey, RGB, RGBA or CMYK as stored. */
function uprightRgb(metadata: SharpMetadata, channels: number, bytes: Buffer): ImageStep[] {
  const steps: ImageStep[] = [];
  const gifColour = metadata.format === 'gif' && channels === 4 ? gifTransparentColour(bytes) : undefined;
  if (metadata.space === 'cmyk') steps.push({ op: 'cmykToRgb' });
  else if (gifColour !== undefined) steps.push({ op: 'fillTransparent', ...gifColour });
  else if (channels !== 3) steps.push({ op: 'toRgb' });
  const orientation = metadata.orientation ?? 1;
  if (orientation >= 2 && orientation <= 8) steps.push({ op: 'orient', orientation });
  return steps;
}

function rgb(pixels: { data: Uint8Array; width: number; height: number }): DecodedImage {
  return { data: pixels.data, width: pixels.width, height: pixels.height, channels: 3 };
}
