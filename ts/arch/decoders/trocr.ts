/** TrOCR: post-norm blocks as in BART, learned or sinusoidal positions, cross-attention of its own input width. */
import { ConfigError } from '../../errors';
import type { DecoderLayer, DecoderPositions, DecoderSpec } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';

const FIELDS = {
  vocabSize: is.size(50265),
  dModel: is.size(1024),
  decoderLayers: is.layers(12),
  decoderAttentionHeads: is.size(16),
  decoderFfnDim: is.size(4096),
  activationFunction: is.text('gelu'),
  maxPositionEmbeddings: is.size(512),
  dropout: is.between(0.1, 0, 1),
  attentionDropout: is.between(0, 0, 1),
  activationDropout: is.between(0, 0, 1),
  decoderStartTokenId: is.tokenId(2),
  initStd: is.between(0.02, 0, 1e6),
  decoderLayerdrop: is.between(0, 0, 1),
  useCache: is.flag(true),
  scaleEmbedding: is.flag(false),
  useLearnedPositionEmbeddings: is.flag(true),
  layernormEmbedding: is.flag(true),
  padTokenId: is.tokenId(1),
  bosTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(2),
  crossAttentionHiddenSize: is.optionalSize(),
  isDecoder: is.flag(false),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

export const TrOCRConfig = is.configClass('trocr', FIELDS, {
  hiddenSize: 'dModel',
  numAttentionHeads: 'decoderAttentionHeads',
  numHiddenLayers: 'decoderLayers',
});
export type TrOCRConfig = InstanceType<typeof TrOCRConfig>;

/** All norms of this decoder use torch's default; the config has no key for it. */
const EPS = 1e-5;
/** Rows of the learned table that come before position 0. */
const POSITION_OFFSET = 2;

function build(config: TrOCRConfig, weights: WeightScope): DecoderSpec {
  const { dModel: hidden, vocabSize, maxPositionEmbeddings: maxPositions } = config;
  const body = weights.scope('model.decoder.');
  const [embedding, output] = ['model.decoder.embed_tokens.weight', 'output_projection.weight'];
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    embedding,
    output,
    [vocabSize, hidden],
    config.padTokenId,
  );
  const crossWidth = config.crossAttentionHiddenSize ?? hidden;
  return {
    ...{ hiddenSize: hidden, vocabSize, maxPositions, crossWidth },
    embedding: {
      table,
      scale: config.scaleEmbedding ? Math.sqrt(hidden) : 1,
      positions: buildPositions(config, body),
      norm: config.layernormEmbedding ? body.norm('layernorm_embedding', hidden, EPS) : null,
    },
    normPosition: 'post',
    layers: Array.from({ length: config.decoderLayers }, (_, index) =>
      buildLayer(config, body.scope(`layers.${index}.`), crossWidth),
    ),
    finalNorm: null,
    head,
  };
}

function buildPositions(config: TrOCRConfig, weights: WeightScope): DecoderPositions {
  const { padTokenId, dModel, maxPositionEmbeddings: maxPositions } = config;
  if (config.useLearnedPositionEmbeddings) {
    const rows = maxPositions + POSITION_OFFSET;
    return {
      kind: 'learned',
      table: weights.embedding('embed_positions.weight', [rows, dModel]),
      rows,
      offset: POSITION_OFFSET,
    };
  }
  if (padTokenId === null || padTokenId < 0 || padTokenId >= config.vocabSize) {
    const range = `a token id below vocab_size ${config.vocabSize}`;
    throw new ConfigError('INVALID_CONFIG', `config decoder.pad_token_id: expected ${range}, got ${padTokenId}`);
  }
  return { kind: 'sinusoidal', rows: maxPositions + padTokenId + 1, padTokenId };
}

function buildLayer(config: TrOCRConfig, weights: WeightScope, crossWidth: number): DecoderLayer {
  const { dModel: hidden, decoderAttentionHeads: heads, decoderFfnDim: inner } = config;
  const headDim = headWidth(hidden, heads, 'decoder_attention_heads');
  const project = (name: string, width = hidden) => weights.linear(name, width, hidden);
  const shape = { heads, headDim, scale: headDim ** -0.5 };
  return {
    selfAttention: {
      ...shape,
      qkv: stack(project('self_attn.q_proj'), project('self_attn.k_proj'), project('self_attn.v_proj')),
      output: project('self_attn.out_proj'),
    },
    selfNorm: weights.norm('self_attn_layer_norm', hidden, EPS),
    crossAttention: {
      ...shape,
      query: project('encoder_attn.q_proj'),
      kv: stack(project('encoder_attn.k_proj', crossWidth), project('encoder_attn.v_proj', crossWidth)),
      output: project('encoder_attn.out_proj'),
    },
    crossNorm: weights.norm('encoder_attn_layer_norm', hidden, EPS),
    mlp: {
      up: weights.linear('fc1', hidden, inner),
      activation: activation(config.activationFunction, 'decoder.activation_function'),
      down: weights.linear('fc2', inner, hidden),
    },
    mlpNorm: weights.norm('final_layer_norm', hidden, EPS),
  };
}

export const trocr: DecoderArchitecture<TrOCRConfig> = {
  config: TrOCRConfig,
  ignorable: [/^model\.decoder\.embed_positions\._float_tensor$/],
  basePrefix: 'model.',
  stem: 'model.decoder.',
  hiddenSize: (config) => config.dModel,
  init: (config) => ({ std: config.initStd }),
  crossHiddenSize: (config) => config.crossAttentionHiddenSize,
  build,
};
