/** DINOv3: rotary positions, layer scale, optional registers and gated perceptrons. */
import { baseStd, constant, truncatedNormal, type InitRules } from '../../spec/init';
import type { EncoderLayer, EncoderMlp, EncoderSpec } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { barePatches, fullAttention, plainEncoder, plainMlp, plainStage, VIT_FIELDS } from './parts';

const FIELDS = {
  patchSize: is.sides(16),
  hiddenSize: is.size(384),
  intermediateSize: is.size(1536),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(6),
  hiddenAct: is.text('gelu'),
  attentionDropout: VIT_FIELDS.attentionProbsDropoutProb,
  initializerRange: VIT_FIELDS.initializerRange,
  layerNormEps: is.between(1e-5, 0, 1),
  ropeTheta: is.between(100, 1e-6, 1e12),
  imageSize: is.sides(224),
  numChannels: is.size(3, 4096),
  queryBias: is.flag(true),
  keyBias: is.flag(false),
  valueBias: is.flag(true),
  projBias: is.flag(true),
  mlpBias: is.flag(true),
  layerscaleValue: is.between(1, 0, 1e6),
  dropPathRate: is.number(0, 0, 1),
  useGatedMlp: is.flag(false),
  numRegisterTokens: is.count(0),
} satisfies is.Fields;

export const DINOv3ViTConfig = is.configClass('dinov3_vit', FIELDS);
export type DINOv3ViTConfig = InstanceType<typeof DINOv3ViTConfig>;

const ATTENTION = {
  query: 'attention.q_proj',
  key: 'attention.k_proj',
  value: 'attention.v_proj',
  output: 'attention.o_proj',
};

function build(config: DINOv3ViTConfig, weights: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth, numRegisterTokens: registers } = config;
  const e = weights.scope('embeddings.');
  const classToken = { tensor: e.take('cls_token', [1, 1, hidden]), count: 1 };
  const more = registers ? [{ tensor: e.take('register_tokens', [1, registers, hidden]), count: registers }] : [];
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embeddings'),
    prefixTokens: [classToken, ...more],
    positions: { kind: 'rotary', base: config.ropeTheta } as const,
  };
  const layer = (index: number) => buildLayer(config, weights.scope(`layer.${index}.`));
  return plainEncoder(
    hidden,
    embedding,
    plainStage(hidden, depth, layer),
    weights.norm('norm', hidden, config.layerNormEps),
  );
}

function buildLayer(config: DINOv3ViTConfig, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, intermediateSize: inner, layerNormEps: eps } = config;
  const biased = { query: config.queryBias, key: config.keyBias, value: config.valueBias, output: config.projBias };
  return {
    attention: fullAttention(config, weights, ATTENTION, biased),
    attentionNorm: weights.norm('norm1', hidden, eps),
    attentionScale: weights.take('layer_scale1.lambda1', [hidden]),
    mlp: config.useGatedMlp
      ? gatedMlp(config, weights.scope('mlp.'))
      : plainMlp(config, weights, ['mlp.up_proj', 'mlp.down_proj'], hidden, inner, config.mlpBias),
    mlpNorm: weights.norm('norm2', hidden, eps),
    mlpScale: weights.take('layer_scale2.lambda1', [hidden]),
  };
}

function gatedMlp(config: DINOv3ViTConfig, weights: WeightScope): EncoderMlp {
  const { hiddenSize: hidden, intermediateSize: inner, mlpBias } = config;
  return {
    kind: 'gated',
    up: stack(weights.linear('gate_proj', hidden, inner, mlpBias), weights.linear('up_proj', hidden, inner, mlpBias)),
    activation: activation(config.hiddenAct, 'encoder.hidden_act'),
    down: weights.linear('down_proj', inner, hidden, mlpBias),
  };
}

/** modeling_dinov3_vit.py, DINOv3ViTPreTrainedModel._init_weights. */
function init({ initializerRange: range, layerscaleValue }: DINOv3ViTConfig): InitRules {
  const special = [
    [/^embeddings\.(cls_token|register_tokens)$/, truncatedNormal(range)],
    [/\.layer_scale[12]\.lambda1$/, constant(layerscaleValue)],
    [/(patch_embeddings|_proj)\.weight$/, truncatedNormal(range)],
  ] as const;
  return { std: baseStd(range), special };
}

export const dinov3ViT: EncoderArchitecture<DINOv3ViTConfig> = {
  config: DINOv3ViTConfig,
  // Without registers the file holds an empty tensor.
  ignorable: [/^embeddings\.(mask_token|register_tokens)$/, /^rope_embeddings\.inv_freq$/],
  basePrefix: 'model.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build,
};
