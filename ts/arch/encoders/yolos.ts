/** YOLOS: ViT with detection tokens behind the patches, and a table of positions before every layer. */
import { ConfigError } from '../../errors';
import { baseStd, zeros } from '../../spec/init';
import type { EncoderSpec, GridPositions } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { gridPositions, VIT_FIELDS } from './parts';
import { buildViT, VIT_IGNORABLE } from './vit';

const FIELDS = {
  ...VIT_FIELDS,
  imageSize: is.bothSides([512, 864]),
  patchSize: is.side(16),
  qkvBias: is.flag(true),
  numDetectionTokens: is.size(100),
  useMidPositionEmbeddings: is.flag(true),
  auxiliaryLoss: is.flag(false),
  classCost: is.number(1, 0, 1e6),
  bboxCost: is.number(5, 0, 1e6),
  giouCost: is.number(2, 0, 1e6),
  bboxLossCoefficient: is.number(5, 0, 1e6),
  giouLossCoefficient: is.number(2, 0, 1e6),
  eosCoefficient: is.between(0.1, 0, 1e6),
} satisfies is.Fields;

export const YolosConfig = is.configClass('yolos', FIELDS);
export type YolosConfig = InstanceType<typeof YolosConfig>;

const MID = 'encoder.mid_position_embeddings';

function build(config: YolosConfig, weights: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numDetectionTokens: count } = config;
  const plain = buildViT(config, weights, ['cls_token'], count);
  const tensor = weights.take('embeddings.detection_tokens', [1, count, hidden]);
  return {
    ...plain,
    embedding: { ...plain.embedding, suffixTokens: [{ tensor, count }] },
    layerPositions: layerPositions(config, weights),
  };
}

/** None after the last layer, hence none at all in a model of one. */
function layerPositions(config: YolosConfig, weights: WeightScope): GridPositions | null {
  const { hiddenSize: hidden, numDetectionTokens: count, numHiddenLayers: depth, imageSize, patchSize } = config;
  if (!config.useMidPositionEmbeddings) return null;
  const [height, width] = imageSize;
  // transformers counts the rows of this table by the area, and fails where that is not a whole grid.
  if (
    Math.floor((height * width) / patchSize ** 2) !==
    Math.floor(height / patchSize) * Math.floor(width / patchSize)
  ) {
    const message = `expected a grid of whole patches of ${patchSize}, got ${height}×${width}`;
    throw new ConfigError('INVALID_CONFIG', `config encoder.image_size: ${message}`);
  }
  return depth > 1 ? gridPositions(config, weights, hidden, MID, 1, [depth - 1, 1], count) : null;
}

export const yolos: EncoderArchitecture<YolosConfig> = {
  config: YolosConfig,
  // A model of one layer holds an empty table.
  ignorable: [...VIT_IGNORABLE, /^encoder\.mid_position_embeddings$/],
  basePrefix: 'vit.',
  // modeling_yolos.py has no _init_weights: tokens and positions stay the zeros they are made as.
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [
      [/^embeddings\.(cls_token|detection_tokens|position_embeddings)$/, zeros],
      [/\.mid_position_embeddings$/, zeros],
    ],
  }),
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build,
};
