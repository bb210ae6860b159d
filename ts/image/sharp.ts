import { ImageError } from '../errors';

/** The little of sharp that is used, so that its types are no dependency of ours. */
export interface SharpImage {
  metadata(): Promise<SharpMetadata>;
  pipelineColourspace(space: string): SharpImage;
  toColourspace(space: string): SharpImage;
  raw(): SharpImage;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    data: Buffer;
    info: { width: number; height: number; channels: number };
  }>;
}

export interface SharpMetadata {
  readonly format?: string;
  readonly space?: string;
  readonly depth?: string;
  readonly width?: number;
  readonly height?: number;
  readonly orientation?: number;
}

export interface SharpOptions {
  readonly ignoreIcc: boolean;
  readonly limitInputPixels: number | false;
  readonly failOn: 'none' | 'truncated' | 'error' | 'warning';
  readonly page: number;
  readonly pages: number;
}

export type Sharp = (input: Buffer, options: SharpOptions) => SharpImage;

let loaded: Sharp | undefined;

/** sharp, on first use: raw pixels need no decoder, and neither does a program that never sees an image file. */
export function loadSharp(): Sharp {
  if (loaded !== undefined) return loaded;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded late, and only if needed
    loaded = require('sharp') as Sharp;
    return loaded;
  } catch (error) {
    throw new ImageError(
      'IMAGE_DECODER_MISSING',
      `expected the package sharp for decoding image files, got: ${(error as Error).message}; ` +
        'install it (npm install sharp) or pass raw pixels { data, width, height, channels }',
      { cause: error },
    );
  }
}
