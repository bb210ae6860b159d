/** Hiera's config: what each stage is, and what transformers would not build. */
import { ConfigError } from '../../errors';
import * as is from '../config-class';
import { VIT_FIELDS } from './parts';

const FIELDS = {
  embedDim: is.size(96),
  imageSize: is.bothSides([224, 224]),
  patchSize: is.bothSides([7, 7]),
  patchStride: is.bothSides([4, 4]),
  patchPadding: is.bothSides([3, 3], 0),
  mlpRatio: is.between(4, 0, 1024),
  depths: is.sizes([2, 3, 16, 3]),
  numHeads: is.sizes([1, 2, 4, 8]),
  embedDimMultiplier: is.between(2, 0, 1024),
  numQueryPool: is.count(3),
  queryStride: is.bothSides([2, 2]),
  maskedUnitSize: is.bothSides([8, 8]),
  maskedUnitAttention: is.flags([true, true, false, false]),
  dropPathRate: is.between(0, 0, 1),
  numChannels: is.size(3, 4096),
  hiddenAct: is.text('gelu'),
  initializerRange: VIT_FIELDS.initializerRange,
  layerNormInit: is.between(1, -1e6, 1e6),
  layerNormEps: is.between(1e-6, 0, 1),
  decoderHiddenSize: is.optionalSize(),
  decoderDepth: is.optionalSize(),
  decoderNumHeads: is.optionalSize(),
  normalizePixelLoss: is.flag(true),
  maskRatio: is.between(0.6, 0, 1),
} satisfies is.Fields;

export const HieraConfig = is.configClass('hiera', FIELDS);
export type HieraConfig = InstanceType<typeof HieraConfig>;

export const area = ([height, width]: readonly [number, number]): number => height * width;
/** int() of Python. */
export const widthOf = ({ embedDim, embedDimMultiplier }: HieraConfig, stage: number): number =>
  Math.trunc(embedDim * embedDimMultiplier ** stage);
export const hiddenSize = (config: HieraConfig): number => widthOf(config, config.depths.length - 1);
/** Cells of the configured image: whole strides. */
export const grid = ({ imageSize: [height, width], patchStride: [down, right] }: HieraConfig): [number, number] => [
  Math.floor(height / down),
  Math.floor(width / right),
];

/** The rules of HieraConfig.validate_architecture, and a list entry per stage. */
export function checkStages(config: HieraConfig): void {
  const { depths, numHeads, maskedUnitAttention, maskedUnitSize, numQueryPool, queryStride } = config;
  const wrong = (key: string, expected: string, got: unknown): never => {
    throw new ConfigError('INVALID_CONFIG', `config encoder.${key}: expected ${expected}, got ${is.show(got)}`);
  };
  if (numHeads.length < depths.length) wrong('num_heads', `one number for each of ${depths.length} depths`, numHeads);
  if (maskedUnitAttention.length < depths.length)
    wrong('masked_unit_attention', `one answer for each of ${depths.length} depths`, maskedUnitAttention);
  if (numQueryPool >= depths.length) wrong('num_query_pool', `less than the ${depths.length} stages`, numQueryPool);
  const divisor = queryStride[0] ** (depths.length - 1);
  if (maskedUnitSize[0] % divisor) wrong('masked_unit_size', `a height that ${divisor} divides`, maskedUnitSize);
  for (let stage = 1; stage < depths.length; stage++) {
    if (widthOf(config, stage) > widthOf(config, stage - 1)) continue;
    is.refuse(
      'encoder.embed_dim_multiplier',
      'wider stages',
      config.embedDimMultiplier,
      'a stage is entered by widening',
    );
  }
}
