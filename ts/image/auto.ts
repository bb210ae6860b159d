import { ConfigError } from '../errors';
import { resolveSource, type ResolveOptions } from '../files/hub';
import { openRepository } from '../files/repository';
import { checkOptionNames } from './options';
import { ImageProcessor } from './processor';
import type { ImageBackend } from './settings';

/** Where a Hub id is looked up, as for models, and whose rounding the processor follows. */
export interface ImageProcessorLoadOptions extends Pick<
  ResolveOptions,
  'revision' | 'cacheDir' | 'localFilesOnly' | 'token' | 'onProgress' | 'signal'
> {
  /** 'pil' (default): Pillow and numpy. 'torchvision': what transformers 5 computes where torchvision is installed. */
  backend?: ImageBackend | undefined;
}

const LOAD_OPTION_NAMES = ['backend', 'revision', 'cacheDir', 'localFilesOnly', 'token', 'onProgress', 'signal'];

/** Finds the image processor of a checkpoint. */
export class AutoImageProcessor {
  /**
   * From a folder or a Hub id that holds preprocessor_config.json, or a processor_config.json with `image_processor`
   * inside, which takes precedence. No other file is needed.
   */
  static async fromPretrained(source: string, options: ImageProcessorLoadOptions = {}): Promise<ImageProcessor> {
    checkOptionNames(options, LOAD_OPTION_NAMES);
    const { backend, ...resolve } = options;
    const folder = await resolveSource(source, { ...resolve, files: 'processor' });
    return new ImageProcessor(await readProcessorConfig(folder), { backend });
  }
}

async function readProcessorConfig(folder: string): Promise<Record<string, unknown>> {
  const repository = await openRepository(folder);
  if (await repository.exists('processor_config.json')) {
    const nested = (await repository.readJson('processor_config.json'))['image_processor'];
    if (typeof nested === 'object' && nested !== null && !Array.isArray(nested))
      return nested as Record<string, unknown>;
  }
  if (await repository.exists('preprocessor_config.json')) return repository.readJson('preprocessor_config.json');
  throw new ConfigError(
    'IMAGE_CONFIG_MISSING',
    `expected preprocessor_config.json, or image_processor in processor_config.json, in ${folder}, got neither`,
  );
}
