/** What savePretrained writes beside the weights, and its options. */
import type { VisionEncoderDecoderConfig } from '../arch/vision-encoder-decoder';
import { OptionError } from '../errors';
import type { GenerationConfig } from '../generation/generation-config';
import { stringifyJson } from '../json';
import { nearest } from '../names';
import type { LoadProgress } from './inputs';

export interface SaveOptions {
  /** Most bytes of weights per file (default: 50 GB, as in transformers 5). A larger model is split, with an index. */
  maxShardSize?: number;
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

const NAMES = ['maxShardSize', 'onProgress', 'signal'];
const DEFAULT_SHARD = 50e9;

/** Refuses unknown names and useless sizes; gives the shard size. */
export function checkSaveOptions(folder: unknown, options: SaveOptions): number {
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0'))
    throw new OptionError('OPTION_OUT_OF_RANGE', `folder: expected a path, got ${JSON.stringify(folder)}`);
  for (const name of Object.keys(options)) {
    if (NAMES.includes(name)) continue;
    const hint = nearest(name, NAMES);
    const end = hint ? `; did you mean '${hint}'?` : '';
    throw new OptionError('UNKNOWN_OPTION', `save options: expected a known option, got '${name}'${end}`);
  }
  const { maxShardSize = DEFAULT_SHARD } = options;
  if (Number.isSafeInteger(maxShardSize) && maxShardSize > 0) return maxShardSize;
  throw new OptionError('OPTION_OUT_OF_RANGE', `maxShardSize: expected a number of bytes, got ${String(maxShardSize)}`);
}

/** config.json and generation_config.json. */
export function configTexts(
  config: VisionEncoderDecoderConfig,
  generationConfig: GenerationConfig,
): Record<string, string> {
  const json = config.toJSON();
  json['architectures'] ??= ['VisionEncoderDecoderModel'];
  return {
    'config.json': `${stringifyJson(json)}\n`,
    'generation_config.json': `${stringifyJson(generationConfig.toJSON())}\n`,
  };
}
