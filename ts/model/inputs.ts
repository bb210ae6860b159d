/** Checks of what callers hand to a model: tensors, id rows, load options. */
import type { ImageSizes } from '../arch/architecture';
import type { VisionEncoderDecoderConfig } from '../arch/vision-encoder-decoder';
import { ConfigError, ImageError, OptionError, UnsupportedError } from '../errors';
import { HeldPixels } from '../image/held';
import type { CudaReport, NativeLoadOptions, NativePixels } from '../native/contract';
import { imageMisfit } from '../spec/image-fit';
import type { ModelSpec } from '../spec/model-spec';

/** Row-major; pixel values are [batch, channels, height, width]. */
export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
/** float16 is there on CUDA only, int8 on the CPU only. */
export type DType = 'float32' | 'bfloat16' | 'float16' | 'int8';

export interface LoadProgress {
  stage: string;
  file?: string;
  loaded: number;
  total: number;
}

export interface LoadOptions {
  /** 'auto' (default): a usable CUDA device, else the CPU. */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;
  /**
   * Type of weights and of the operands of matrix products; sums, residual stream and norms are float32. 'auto' (default):
   * float32 on the CPU, which has no float16. In int8 the patch projection, the head and the
   * perceptrons of narrow encoders stay bfloat16.
   */
  dtype?: 'auto' | DType;
  /** Compute threads; default: one per core that affinity and control groups leave to the process, 16 at most. */
  threads?: number;
  /** Decoder rows held at once (default 32). Larger calls wait and are split; results and order do not change. */
  maxBatch?: number;
  batchInvariant?: boolean;
  revision?: string;
  cacheDir?: string;
  localFilesOnly?: boolean;
  token?: string;
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

const LOAD_OPTIONS = [
  'device',
  'dtype',
  'threads',
  'maxBatch',
  'batchInvariant',
  'revision',
  'cacheDir',
  'localFilesOnly',
  'token',
  'onProgress',
  'signal',
] as const;
const DTYPES = ['auto', 'float32', 'bfloat16', 'float16', 'int8'];
const DEFAULT_MAX_BATCH = 32;

function reject(name: string, expected: string, got: unknown): never {
  throw new OptionError('OPTION_OUT_OF_RANGE', `${name}: expected ${expected}, got ${String(got)}`);
}

function checkInteger(name: string, value: number | undefined, low: number, high: number): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || value < low || value > high)
    reject(name, `an integer from ${low} to ${high}`, value);
}

/** Refuses names that are neither load options nor `more`; `nearest` suggests the right one. */
export function checkLoadOptions(
  options: LoadOptions,
  nearest: (name: string, known: readonly string[]) => string | null,
  more: readonly string[] = [],
): void {
  const known = [...LOAD_OPTIONS, ...more];
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = nearest(name, known);
    throw new OptionError(
      'UNKNOWN_OPTION',
      `load options: expected a known option, got '${name}'${hint ? `; did you mean '${hint}'?` : ''}`,
    );
  }
  checkInteger('threads', options.threads, 1, 1024);
  checkInteger('maxBatch', options.maxBatch, 1, 4096);
  if (options.dtype !== undefined && !DTYPES.includes(options.dtype)) reject('dtype', DTYPES.join(', '), options.dtype);
  const device = options.device ?? 'auto';
  if (device !== 'auto' && device !== 'cpu' && !/^cuda(:\d+)?$/.test(device))
    reject('device', "'auto', 'cpu', 'cuda' or 'cuda:N'", device);
}

/** The CUDA device that `device` stands for; undefined: the CPU. Only 'auto' chooses: a named device is used or refused. */
function cudaDevice(device: string, report: () => CudaReport): number | undefined {
  if (device === 'cpu') return undefined;
  const match = /^cuda(?::(\d+))?$/.exec(device);
  if (match) return Number(match[1] ?? report().devices.find(({ usable }) => usable)?.index ?? 0);
  const { available, emulated, devices } = report();
  return available && !emulated ? devices.find(({ usable }) => usable)!.index : undefined;
}

/** What really runs. The native side refuses a device that cannot be used, with the reason. */
export function nativeLoadOptions(options: LoadOptions, report: () => CudaReport): NativeLoadOptions {
  const { device = 'auto', dtype = 'auto' } = options;
  const reference = process.env['VED_BACKEND'] === 'reference';
  const cuda = reference ? undefined : cudaDevice(device, report);
  const types: NativeLoadOptions['dtype'][] =
    cuda === undefined ? ['float32', 'bfloat16', 'int8'] : ['float32', 'bfloat16', 'float16'];
  const type = types.find((known) => known === (dtype === 'auto' ? 'float32' : dtype));
  if (!type) {
    const where = cuda === undefined ? 'the CPU' : 'CUDA';
    throw new UnsupportedError('UNSUPPORTED_DTYPE', `dtype: expected ${types.join(', ')} on ${where}, got ${dtype}`);
  }
  return {
    backend: cuda !== undefined ? 'cuda' : reference ? 'reference' : 'cpu',
    device: cuda ?? 0,
    isa: (process.env['VED_ISA'] as NativeLoadOptions['isa'] | undefined) ?? 'auto',
    dtype: type,
    threads: options.threads ?? 0,
    maxBatch: options.maxBatch ?? DEFAULT_MAX_BATCH,
    fuse: process.env['VED_NO_FUSION'] !== '1',
  };
}

/** Pixel values must fit the encoder: its channels, and its size unless it takes others. */
export function checkPixels(pixels: Tensor, spec: ModelSpec, sizes: ImageSizes, interpolate: boolean): void {
  const { channels, imageHeight, imageWidth } = spec.encoder.embedding;
  checkPixelTensor(pixels);
  const [, c, h, w] = pixels.dims as [number, number, number, number];
  if (c !== channels) throw new ImageError('WRONG_CHANNELS', `pixelValues: expected ${channels} channels, got ${c}`);
  if (h === imageHeight && w === imageWidth) return;
  if (sizes === 'fixed' || (sizes === 'exact' && !interpolate)) {
    const hint = sizes === 'fixed' ? 'its positions fit no other' : 'pass interpolatePosEncoding to use another size';
    throw new ImageError(
      'WRONG_IMAGE_SIZE',
      `pixelValues: expected ${imageHeight}×${imageWidth} pixels, got ${h}×${w}; ${hint}`,
    );
  }
  const misfit = imageMisfit(spec.encoder, h, w);
  if (misfit) throw new ImageError('WRONG_IMAGE_SIZE', `pixelValues: expected ${misfit}, got ${h}×${w} pixels`);
}

/** A [batch, channels, height, width] tensor, or images in its place. */
export function checkPixelTensor(pixels: Tensor): void {
  if (!(pixels instanceof HeldPixels)) checkTensor(pixels, 4, 'pixelValues');
}

export function pixelsAsNative(pixels: Tensor): NativePixels {
  return pixels instanceof HeldPixels ? { images: pixels.images } : { data: pixels.data, dims: [...pixels.dims] };
}

/** Some images of a batch, in this order; an image may come more than once. */
export function selectImages(pixels: Tensor, images: readonly number[]): Tensor {
  if (pixels instanceof HeldPixels) return pixels.rows(images);
  const size = pixels.data.length / (pixels.dims[0] ?? 1);
  const data = new Float32Array(size * images.length);
  images.forEach((image, to) => data.set(pixels.data.subarray(image * size, (image + 1) * size), to * size));
  return { data, dims: [images.length, ...pixels.dims.slice(1)] };
}

export function checkTensor(tensor: Tensor, rank: number, name: string): void {
  const { data, dims } = (tensor ?? {}) as Partial<Tensor>;
  if (!(data instanceof Float32Array) || !Array.isArray(dims))
    reject(name, 'a Tensor { data: Float32Array, dims }', tensor);
  if (dims.length !== rank || !dims.every((dim: unknown) => Number.isSafeInteger(dim) && (dim as number) > 0)) {
    reject(`${name}.dims`, `${rank} positive sizes`, `[${dims.join(', ')}]`);
  }
  const count = dims.reduce((product: number, dim: number) => product * dim, 1);
  if (count !== data.length) reject(name, `${count} values for dims [${dims.join(', ')}]`, data.length);
}

/** Rows of one length with ids below the vocabulary's size; `ignored` ids are legal besides. */
export function checkIdRows(
  rows: unknown,
  name: string,
  vocabSize: number,
  ignored: readonly number[] = [],
): number[][] {
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(Array.isArray)) reject(name, 'rows of token ids', rows);
  const typed = rows as number[][];
  const width = typed[0]?.length ?? 0;
  for (const row of typed) {
    if (row.length !== width || width === 0)
      reject(name, `rows of one length (${width}, at least 1)`, `a row of ${row.length}`);
    for (const id of row) {
      const legal = ignored.includes(id) || (Number.isSafeInteger(id) && id >= 0 && id < vocabSize);
      if (!legal) reject(name, `token ids from 0 to ${vocabSize - 1}`, id);
    }
  }
  return typed;
}

/**
 * Decoder inputs from labels: the start token, then the labels moved by one; -100 becomes the pad token
 * (transformers modeling_vision_encoder_decoder.py, shift_tokens_right).
 */
export function shiftRight(labels: readonly number[][], config: VisionEncoderDecoderConfig): number[][] {
  const { decoderStartTokenId: start, padTokenId: pad } = config;
  if (start === null || pad === null) {
    const missing = start === null ? 'decoder_start_token_id' : 'pad_token_id';
    throw new ConfigError('MISSING_TOKEN_ID', `labels need ${missing} in config.json: expected a token id, got null`);
  }
  return labels.map((row) => [start, ...row.slice(0, -1)].map((id) => (id === -100 ? pad : id)));
}
