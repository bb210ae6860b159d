import { ConfigError } from '../errors';
import { resolveSource, type ResolveOptions } from '../files/hub';
import { openRepository } from '../files/repository';
import { checkOptionNames } from './options';
import { ImageProcessor } from './processor';

/** Where a Hub id is looked up; the same options as for models. */
export type ImageProcessorLoadOptions = Pick<
  ResolveOptions,
  'revision' | 'cacheDir' | 'localFilesOnly' | 'token' | 'onProgress' | 'signal'
>;

const LOAD_OPTION_NAMES = ['revision', 'cacheDir', 'localFilesOnly', 'token', 'onProgress', 'signal'];

/** Finds the image processor of a checkpoint. */
export class AutoImageProcessor {
  /**
   * From a folder or a Hub id that holds preprocessor_config.json, or a processor_config.json with `image_processor`
   * inside, which takes precedence. No other file is needed.
   */
  static async fromPretrained(source: string, options: ImageProcessorLoadOptions = {}): Promise<ImageProcessor> {
    checkOptionNames(options, LOAD_OPTION_NAMES);
    const folder = await resolveSource(source, { ...options, files: 'processor' });
    return new ImageProcessor(await readProcessorConfig(folder));
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
