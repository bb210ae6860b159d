/** Raw pixels, row by row, channels interleaved. They are taken as they are: no EXIF, no profile. */
export interface RawImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
}

/**
 * A path, a URL (http:, https:, file:, data:), the bytes of an encoded file, or raw pixels. Buffers are read while the
 * call runs: leave them alone until its promise settles.
 */
export type ImageInput = string | URL | Uint8Array | RawImage;

/** An upright RGB image: data[(y * width + x) * 3 + c]. */
export interface DecodedImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
}

/** Row-major; pixel values are [batch, channels, height, width]. */
export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
