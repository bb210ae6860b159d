/** ViT: patches, a class token and learned positions; pre-norm blocks and a final norm. */
import { baseStd, truncatedNormal, type InitRules } from '../../spec/init';
import type { EncoderLayer, EncoderSpec, PatchEmbedding } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type EncoderArchitecture } from '../architecture';
import * as is from '../config-class';

export const VIT_FIELDS = {
  hiddenSize: is.size(768),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(12),
  headDim: is.hidden(is.optionalSize()),
  intermediateSize: is.size(3072),
  hiddenAct: is.text('gelu'),
  hiddenDropoutProb: is.between(0, 0, 1),
  attentionProbsDropoutProb: is.between(0, 0, 1),
  initializerRange: is.between(0.02, 0, 1e6),
  layerNormEps: is.between(1e-12, 0, 1),
  imageSize: is.sides(224),
  patchSize: is.sides(16),
  numChannels: is.size(3, 4096),
  qkvBias: is.flag(true),
  encoderStride: is.size(16),
  poolerOutputSize: is.hidden(is.optionalSize()),
  poolerAct: is.hidden(is.text('tanh')),
} satisfies is.Fields;

export const ViTConfig = is.configClass('vit', VIT_FIELDS);
export type ViTConfig = InstanceType<typeof ViTConfig>;

type ViTLike = is.Values<typeof VIT_FIELDS>;

/** The encoder of ViT and of those that differ by their prefix tokens only. */
export function buildViT(config: ViTLike, weights: WeightScope, prefixTokens: readonly string[]): EncoderSpec {
  const hidden = config.hiddenSize;
  return {
    hiddenSize: hidden,
    embedding: buildPatches(config, weights.scope('embeddings.'), prefixTokens),
    normPosition: 'pre',
    layers: Array.from({ length: config.numHiddenLayers }, (_, index) =>
      buildLayer(config, weights.scope(`encoder.layer.${index}.`)),
    ),
    finalNorm: weights.norm('layernorm', hidden, config.layerNormEps),
  };
}

function pair(sides: number | readonly [number, number]): readonly [number, number] {
  return typeof sides === 'number' ? [sides, sides] : sides;
}

function buildPatches(config: ViTLike, weights: WeightScope, prefixTokens: readonly string[]): PatchEmbedding {
  const { hiddenSize: hidden, numChannels: channels } = config;
  const [imageHeight, imageWidth] = pair(config.imageSize);
  const [patchHeight, patchWidth] = pair(config.patchSize);
  const gridHeight = Math.floor(imageHeight / patchHeight);
  const gridWidth = Math.floor(imageWidth / patchWidth);
  const width = channels * patchHeight * patchWidth;
  const prefix = prefixTokens.length;
  const table = weights.take('position_embeddings', [1, prefix + gridHeight * gridWidth, hidden]);
  return {
    ...{ channels, imageHeight, imageWidth, patchHeight, patchWidth },
    projection: weights.linear('patch_embeddings.projection', width, hidden, true, [channels, patchHeight, patchWidth]),
    prefixTokens: prefixTokens.map((name) => weights.take(name, [1, 1, hidden])),
    positions: { kind: 'grid', table, prefix, gridHeight, gridWidth },
  };
}

function buildLayer(config: ViTLike, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, numAttentionHeads: heads, layerNormEps: eps, intermediateSize: inner, qkvBias } = config;
  const headDim = config.headDim ?? headWidth(hidden, heads, 'num_attention_heads');
  const project = (name: string) => weights.linear(`attention.attention.${name}`, hidden, heads * headDim, qkvBias);
  return {
    attention: {
      ...{ heads, headDim, scale: headDim ** -0.5 },
      qkv: stack(project('query'), project('key'), project('value')),
      output: weights.linear('attention.output.dense', heads * headDim, hidden),
    },
    attentionNorm: weights.norm('layernorm_before', hidden, eps),
    mlp: {
      up: weights.linear('intermediate.dense', hidden, inner),
      activation: activation(config.hiddenAct, 'encoder.hidden_act'),
      down: weights.linear('output.dense', inner, hidden),
    },
    mlpNorm: weights.norm('layernorm_after', hidden, eps),
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
  imageSizes: 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => buildViT(config, weights, ['cls_token']),
};
