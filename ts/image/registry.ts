import { ConfigError, UnsupportedError } from '../errors';
import { beit } from './beit';
import { bit, blip, clip } from './clip';
import { convnext } from './convnext';
import { deit } from './deit';
import { donut } from './donut';
import type { ProcessorKind } from './kind';
import { nougat } from './nougat';
import { siglip } from './siglip';
import { vit } from './vit';

const KINDS: ReadonlyMap<string, ProcessorKind> = new Map(
  [vit, deit, donut, nougat, beit, clip, bit, blip, siglip, convnext].map((kind) => [kind.name, kind]),
);

/**
 * The processor a preprocessor_config.json names: `image_processor_type`, or in old files `feature_extractor_type`. The
 * suffixes Fast and Pil name a backend, not other steps.
 */
export function kindOf(config: Readonly<Record<string, unknown>>): ProcessorKind {
  const key = config['image_processor_type'] != null ? 'image_processor_type' : 'feature_extractor_type';
  const type = config[key];
  if (type === undefined || type === null) {
    throw new ConfigError(
      'IMAGE_CONFIG_INVALID',
      'expected image_processor_type or feature_extractor_type in the image processor config, got neither',
    );
  }
  if (typeof type !== 'string')
    throw new ConfigError('IMAGE_CONFIG_INVALID', `${key}: expected a string, got ${JSON.stringify(type)}`);
  const kind = KINDS.get(type.replace('FeatureExtractor', 'ImageProcessor').replace(/(Fast|Pil)$/u, ''));
  if (kind !== undefined) return kind;
  throw new UnsupportedError(
    'UNSUPPORTED_IMAGE_PROCESSOR',
    `${key}: expected one of ${[...KINDS.keys()].join(', ')}, got ${type}`,
  );
}
