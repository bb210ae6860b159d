/** SigLIP's vision tower: no class token, and the norm after the blocks is part of what the decoder reads. */
import { lecunNormal, normal, xavierUniform, type InitRules } from '../../spec/init';
import type { EncoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { barePatches, clipLayer, gridPositions, plainEncoder, plainStage, visionModel } from './parts';

const FIELDS = {
  hiddenSize: is.size(768),
  intermediateSize: is.size(3072),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(12),
  numChannels: is.size(3, 4096),
  imageSize: is.side(224),
  patchSize: is.side(16),
  hiddenAct: is.text('gelu_pytorch_tanh'),
  layerNormEps: is.between(1e-6, 0, 1),
  attentionDropout: is.between(0, 0, 1),
  visionUseHead: is.hidden(is.flag(true)),
} satisfies is.Fields;

export const SiglipVisionConfig = is.configClass('siglip_vision_model', FIELDS);
export type SiglipVisionConfig = InstanceType<typeof SiglipVisionConfig>;

function build(config: SiglipVisionConfig, all: WeightScope): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth, layerNormEps: eps } = config;
  const weights = visionModel(all, 'embeddings.position_embedding.weight');
  const e = weights.scope('embeddings.');
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embedding'),
    positions: gridPositions(config, e, hidden, 'position_embedding.weight', 0, []),
  };
  const layer = (index: number) => clipLayer(config, weights.scope(`encoder.layers.${index}.`));
  const finalNorm = weights.norm('post_layernorm', hidden, eps);
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), finalNorm);
}

/** modeling_siglip.py, SiglipPreTrainedModel._init_weights. */
function init({ hiddenSize: hidden }: SiglipVisionConfig): InitRules {
  const special = [
    [/^embeddings\.position_embedding\.weight$/, normal(hidden ** -0.5)],
    [/^embeddings\.patch_embedding\.weight$/, lecunNormal],
    [/\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)\.weight$/, xavierUniform],
    [/\.fc[12]\.bias$/, normal(1e-6)],
  ] as const;
  return { std: 0.02, special };
}

export const siglipVision: EncoderArchitecture<SiglipVisionConfig> = {
  config: SiglipVisionConfig,
  // The head pools; decoders read what is not pooled.
  ignorable: [/^(vision_model\.)?(embeddings\.position_ids$|head\.)/],
  basePrefix: 'vision_model.',
  init,
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build,
};
