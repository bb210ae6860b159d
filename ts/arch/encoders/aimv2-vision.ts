/** AIMv2's vision tower: root-mean-square norms, gated perceptrons, no class token; positions learned or computed. */
import { baseStd, normal } from '../../spec/init';
import type { EncoderLayer, EncoderMlp, EncoderSpec } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { barePatches, fullAttention, gridPositions, plainEncoder, plainStage, VIT_FIELDS, visionModel } from './parts';

const FIELDS = {
  hiddenSize: is.size(1024),
  intermediateSize: is.size(2816),
  numHiddenLayers: is.layers(24),
  numAttentionHeads: is.size(8),
  numChannels: is.size(3, 4096),
  imageSize: is.side(224),
  patchSize: is.side(14),
  hiddenAct: is.text('silu'),
  attentionDropout: VIT_FIELDS.attentionProbsDropoutProb,
  rmsNormEps: is.between(1e-5, 0, 1),
  qkvBias: is.flag(false),
  mlpBias: is.flag(false),
  initializerRange: VIT_FIELDS.initializerRange,
  useHead: is.flag(true),
  isNative: is.flag(false),
} satisfies is.Fields;

export const Aimv2VisionConfig = is.configClass('aimv2_vision_model', FIELDS);
export type Aimv2VisionConfig = InstanceType<typeof Aimv2VisionConfig>;

/** transformers' build_2d_sinusoidal_position_embedding takes it from no config. */
const WAVE_BASE = 10000;
const ATTENTION = {
  query: 'attention.q_proj',
  key: 'attention.k_proj',
  value: 'attention.v_proj',
  output: 'attention.out_proj',
};

function build(config: Aimv2VisionConfig, all: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth, rmsNormEps: eps, isNative } = config;
  const weights = visionModel(all, 'embeddings.rms_norm.weight');
  if (isNative && hidden % 4)
    is.refuse('encoder.hidden_size', 'a multiple of 4 with is_native', hidden, 'transformers cannot run it');
  const e = weights.scope('embeddings.');
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embed'),
    patchNorm: e.rmsNorm('rms_norm', hidden, eps),
    positions: isNative
      ? ({ kind: 'waves', base: WAVE_BASE } as const)
      : gridPositions(config, e, hidden, 'position_embedding.weight', 0, []),
  };
  const layer = (index: number) => buildLayer(config, weights.scope(`encoder.layers.${index}.`));
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), weights.rmsNorm('rms_norm', hidden, eps));
}

function buildLayer(config: Aimv2VisionConfig, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, rmsNormEps: eps, qkvBias: bias } = config;
  return {
    attention: fullAttention(config, weights, ATTENTION, { query: bias, key: bias, value: bias, output: bias }),
    attentionNorm: weights.rmsNorm('rms_norm1', hidden, eps),
    attentionScale: null,
    mlp: gatedMlp(config, weights.scope('ffn.')),
    mlpNorm: weights.rmsNorm('rms_norm2', hidden, eps),
    mlpScale: null,
  };
}

function gatedMlp(config: Aimv2VisionConfig, weights: WeightScope): EncoderMlp {
  const { hiddenSize: hidden, intermediateSize: inner, mlpBias: bias } = config;
  return {
    kind: 'gated',
    up: stack(weights.linear('gate_proj', hidden, inner, bias), weights.linear('up_proj', hidden, inner, bias)),
    activation: activation(config.hiddenAct, 'encoder.hidden_act'),
    down: weights.linear('down_proj', inner, hidden, bias),
  };
}

export const aimv2Vision: EncoderArchitecture<Aimv2VisionConfig> = {
  config: Aimv2VisionConfig,
  // The head pools; decoders read what is not pooled.
  ignorable: [/^(vision_model\.)?(embeddings\.position_ids$|head\.)/],
  basePrefix: 'vision_model.',
  // modeling_aimv2.py, Aimv2PreTrainedModel._init_weights: exceptions for the head alone.
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [[/^embeddings\.position_embedding\.weight$/, normal(baseStd(initializerRange))]],
  }),
  imageSizes: ({ isNative }) => (isNative ? 'adaptive' : 'fixed'),
  hiddenSize: (config) => config.hiddenSize,
  build,
};
