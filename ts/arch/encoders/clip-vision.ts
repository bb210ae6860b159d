/** CLIP's vision tower: a patch projection without bias, a norm before the blocks and none after them. */
import { baseStd, normal, type InitRules } from '../../spec/init';
import type { EncoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { barePatches, clipLayer, gridPositions, plainEncoder, plainStage, visionModel } from './parts';

const FIELDS = {
  hiddenSize: is.size(768),
  intermediateSize: is.size(3072),
  projectionDim: is.size(512),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(12),
  numChannels: is.size(3, 4096),
  imageSize: is.side(224),
  patchSize: is.side(32),
  hiddenAct: is.text('quick_gelu'),
  layerNormEps: is.between(1e-5, 0, 1),
  attentionDropout: is.between(0, 0, 1),
  initializerRange: is.between(0.02, 0, 1e6),
  initializerFactor: is.between(1, 0, 1e6),
} satisfies is.Fields;

export const CLIPVisionConfig = is.configClass('clip_vision_model', FIELDS);
export type CLIPVisionConfig = InstanceType<typeof CLIPVisionConfig>;

function build(config: CLIPVisionConfig, all: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth, layerNormEps: eps } = config;
  const weights = visionModel(all, 'embeddings.class_embedding');
  const e = weights.scope('embeddings.');
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embedding', false),
    prefixTokens: [{ tensor: e.take('class_embedding', [hidden]), count: 1 }],
    positions: gridPositions(config, e, hidden, 'position_embedding.weight', 1, []),
    norm: weights.norm('pre_layrnorm', hidden, eps),
  };
  const layer = (index: number) => clipLayer(config, weights.scope(`encoder.layers.${index}.`));
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), null);
}

/** modeling_clip.py, CLIPPreTrainedModel._init_weights. */
function init(config: CLIPVisionConfig): InitRules {
  const { hiddenSize: hidden, initializerFactor: factor, initializerRange: range } = config;
  const perLayer = (2 * config.numHiddenLayers) ** -0.5;
  const special = [
    [/^embeddings\.class_embedding$/, normal(hidden ** -0.5 * factor)],
    [/^embeddings\.(patch|position)_embedding\.weight$/, normal(range * factor)],
    [/\.(q|k|v)_proj\.weight$/, normal(hidden ** -0.5 * perLayer * factor)],
    [/\.out_proj\.weight$/, normal(hidden ** -0.5 * factor)],
    [/\.fc1\.weight$/, normal((2 * hidden) ** -0.5 * factor)],
    [/\.fc2\.weight$/, normal(hidden ** -0.5 * perLayer * factor)],
  ] as const;
  return { std: baseStd(range), special };
}

export const clipVision: EncoderArchitecture<CLIPVisionConfig> = {
  config: CLIPVisionConfig,
  // The last norm is for the pooled vector alone.
  ignorable: [/^(vision_model\.)?(embeddings\.position_ids|post_layernorm\.(weight|bias))$/],
  basePrefix: 'vision_model.',
  init,
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build,
};
