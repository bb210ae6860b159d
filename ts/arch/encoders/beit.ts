/** BEiT and data2vec-vision: relative position biases, layer scale, keys without bias, and no final norm by default. */
import { baseStd, constant, zeros, type InitRules } from '../../spec/init';
import type { EncoderLayer, EncoderSpec, GridBias, TensorRef } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import {
  barePatches,
  fullAttention,
  gridPositions,
  patchSizes,
  plainEncoder,
  plainMlp,
  plainStage,
  VIT_ATTENTION,
  VIT_FIELDS,
} from './parts';

const FIELDS = {
  ...VIT_FIELDS,
  headDim: is.hidden(is.optionalSize()),
  useMaskToken: is.flag(false),
  useAbsolutePositionEmbeddings: is.flag(false),
  useRelativePositionBias: is.flag(false),
  useSharedRelativePositionBias: is.flag(false),
  layerScaleInitValue: is.between(0.1, -1e6, 1e6),
  dropPathRate: is.between(0.1, 0, 1),
  useMeanPooling: is.flag(true),
} satisfies is.Fields;

export const BeitConfig = is.configClass('beit', { vocabSize: is.size(8192), ...FIELDS });
export type BeitConfig = InstanceType<typeof BeitConfig>;
export const Data2VecVisionConfig = is.configClass('data2vec-vision', FIELDS);
export type Data2VecVisionConfig = InstanceType<typeof Data2VecVisionConfig>;

type Config = is.Values<typeof FIELDS>;
const BIAS = 'relative_position_bias.relative_position_bias_table';

function build(config: Config, weights: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth } = config;
  const e = weights.scope('embeddings.');
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embeddings.projection'),
    prefixTokens: [{ tensor: e.take('cls_token', [1, 1, hidden]), count: 1 }],
    positions: config.useAbsolutePositionEmbeddings
      ? gridPositions(config, e, hidden, 'position_embeddings', 1)
      : ({ kind: 'none' } as const),
  };
  const shared = config.useSharedRelativePositionBias ? [biasTable(config, weights, `encoder.${BIAS}`)] : [];
  const layer = (index: number) => buildLayer(config, weights.scope(`encoder.layer.${index}.`), shared);
  // With mean pooling the norm belongs to the pooler, which no decoder reads.
  const finalNorm = config.useMeanPooling ? null : weights.norm('layernorm', hidden, config.layerNormEps);
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), finalNorm);
}

/** One bias per distance of two cells, and three for the class token. */
function biasTable(config: Config, weights: WeightScope, name: string): TensorRef {
  const { gridHeight, gridWidth } = patchSizes(config);
  return weights.take(name, [(2 * gridHeight - 1) * (2 * gridWidth - 1) + 3, config.numAttentionHeads]);
}

function buildLayer(config: Config, weights: WeightScope, shared: readonly TensorRef[]): EncoderLayer {
  const { hiddenSize: hidden, intermediateSize: inner, layerNormEps: eps } = config;
  const own = config.useRelativePositionBias ? [biasTable(config, weights, `attention.attention.${BIAS}`)] : [];
  const { gridHeight, gridWidth } = patchSizes(config);
  const tables = [...shared, ...own];
  const bias: GridBias | null = tables.length ? { tables, gridHeight, gridWidth } : null;
  const scale = (name: string) => (config.layerScaleInitValue > 0 ? weights.take(name, [hidden]) : null);
  return {
    attention: fullAttention(config, weights, VIT_ATTENTION, { query: true, key: false, value: true }, bias),
    attentionNorm: weights.norm('layernorm_before', hidden, eps),
    attentionScale: scale('lambda_1'),
    mlp: plainMlp(config, weights, ['intermediate.dense', 'output.dense'], hidden, inner),
    mlpNorm: weights.norm('layernorm_after', hidden, eps),
    mlpScale: scale('lambda_2'),
  };
}

/** modeling_beit.py, BeitPreTrainedModel._init_weights. */
function init({ initializerRange, layerScaleInitValue }: Config): InitRules {
  const special = [
    [/^embeddings\.(cls_token|position_embeddings)$/, zeros],
    [/\.relative_position_bias_table$/, zeros],
    [/\.lambda_[12]$/, constant(layerScaleInitValue)],
  ] as const;
  return { std: baseStd(initializerRange), special };
}

const IGNORABLE = [/^embeddings\.mask_token$/, /^pooler\.layernorm\.(weight|bias)$/, /\.relative_position_index$/];

export const beit: EncoderArchitecture<BeitConfig> = {
  config: BeitConfig,
  ignorable: IGNORABLE,
  basePrefix: 'beit.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build,
};

export const data2vecVision: EncoderArchitecture<Data2VecVisionConfig> = {
  config: Data2VecVisionConfig,
  ignorable: IGNORABLE,
  basePrefix: 'data2vec_vision.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build,
};
