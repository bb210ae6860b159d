/** ViT: patches, a class token and learned positions; pre-norm blocks and a final norm. */
import { baseStd, truncatedNormal, type InitRules } from '../../spec/init';
import type { EncoderLayer, EncoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import {
  barePatches,
  fullAttention,
  gridPositions,
  plainEncoder,
  plainMlp,
  plainStage,
  VIT_ATTENTION,
  VIT_FIELDS as COMMON_FIELDS,
} from './parts';

export const VIT_FIELDS = {
  ...COMMON_FIELDS,
  headDim: is.hidden(is.optionalSize()),
  qkvBias: is.flag(true),
  encoderStride: is.size(16),
  poolerOutputSize: is.hidden(is.optionalSize()),
  poolerAct: is.hidden(is.text('tanh')),
} satisfies is.Fields;

export const ViTConfig = is.configClass('vit', VIT_FIELDS);
export type ViTConfig = InstanceType<typeof ViTConfig>;

type ViTLike = is.Values<typeof COMMON_FIELDS> & { readonly headDim?: number | null; readonly qkvBias: boolean };

/** The encoder of ViT and of those that differ by their tokens only. `suffix`: positions of tokens behind the patches. */
export function buildViT(
  config: ViTLike,
  weights: WeightScope,
  prefixTokens: readonly string[],
  suffix = 0,
): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth } = config;
  const e = weights.scope('embeddings.');
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embeddings.projection'),
    prefixTokens: prefixTokens.map((name) => ({ tensor: e.take(name, [1, 1, hidden]), count: 1 })),
    positions: gridPositions(config, e, hidden, 'position_embeddings', prefixTokens.length, [1], suffix),
  };
  const layer = (index: number) => buildLayer(config, weights.scope(`encoder.layer.${index}.`));
  const finalNorm = weights.norm('layernorm', hidden, config.layerNormEps);
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), finalNorm);
}

function buildLayer(config: ViTLike, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, layerNormEps: eps, intermediateSize: inner, qkvBias } = config;
  const biased = { query: qkvBias, key: qkvBias, value: qkvBias };
  return {
    attention: fullAttention(config, weights, VIT_ATTENTION, biased),
    attentionNorm: weights.norm('layernorm_before', hidden, eps),
    attentionScale: null,
    mlp: plainMlp(config, weights, ['intermediate.dense', 'output.dense'], hidden, inner),
    mlpNorm: weights.norm('layernorm_after', hidden, eps),
    mlpScale: null,
  };
}

/** The mask token and the pooler take no part in what a decoder reads. */
export const VIT_IGNORABLE = [/^embeddings\.mask_token$/, /^pooler\.dense\.(weight|bias)$/];

/** modeling_vit.py, ViTPreTrainedModel._init_weights. */
function initViT({ initializerRange }: ViTConfig): InitRules {
  const special = [/^embeddings\.(cls_token|position_embeddings)$/, truncatedNormal(initializerRange)] as const;
  return { std: baseStd(initializerRange), special: [special] };
}

export const vit: EncoderArchitecture<ViTConfig> = {
  config: ViTConfig,
  ignorable: VIT_IGNORABLE,
  basePrefix: 'vit.',
  init: initViT,
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => buildViT(config, weights, ['cls_token']),
};
