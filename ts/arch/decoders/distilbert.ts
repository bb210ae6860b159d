/**
 * DistilBERT as a decoder. transformers has no causal class of it, so the cross-attention is this package's own: post-norm,
 * between self-attention and MLP, named `crossattention.{q,k,v,out}_lin` and `ca_layer_norm`. All else is DistilBertForMaskedLM's.
 */
import { baseStd, interleavedSinusoids } from '../../spec/init';
import type { DecoderLayer, DecoderSpec } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';

const FIELDS = {
  vocabSize: is.size(30522),
  maxPositionEmbeddings: is.size(512),
  sinusoidalPosEmbds: is.flag(false),
  nLayers: is.layers(6),
  nHeads: is.size(12),
  dim: is.size(768),
  hiddenDim: is.size(4 * 768),
  dropout: is.between(0.1, 0, 1),
  attentionDropout: is.between(0.1, 0, 1),
  activation: is.text('gelu'),
  initializerRange: is.between(0.02, 0, 1e6),
  qaDropout: is.between(0.1, 0, 1),
  seqClassifDropout: is.between(0.2, 0, 1),
  padTokenId: is.tokenId(0),
  bosTokenId: is.tokenId(),
  eosTokenId: is.tokenIds(),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

export const DistilBertConfig = is.configClass('distilbert', FIELDS, {
  hiddenSize: 'dim',
  numAttentionHeads: 'nHeads',
  numHiddenLayers: 'nLayers',
});
export type DistilBertConfig = InstanceType<typeof DistilBertConfig>;

/** Of all norms; the config has no key for it. */
const EPS = 1e-12;

function build(config: DistilBertConfig, weights: WeightScope): DecoderSpec {
  const { dim: hidden, vocabSize, maxPositionEmbeddings: rows } = config;
  const embeddings = weights.scope('distilbert.embeddings.');
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    'distilbert.embeddings.word_embeddings.weight',
    'vocab_projector.weight',
    [vocabSize, hidden],
    config.padTokenId,
    ['vocab_projector.bias'],
  );
  const positions = embeddings.embedding('position_embeddings.weight', [rows, hidden]);
  return {
    ...{ hiddenSize: hidden, vocabSize, maxPositions: rows, crossWidth: hidden, streams: null },
    embedding: {
      ...{ table, width: hidden, scale: 1, tokenMap: null, tokenNorm: null, constants: [] },
      positions: { kind: 'table', table: positions, rows, ids: { kind: 'sequential', offset: 0 } },
      ...{ norm: embeddings.norm('LayerNorm', hidden, EPS), projection: null },
    },
    normPosition: 'post',
    layers: Array.from({ length: config.nLayers }, (_, index) =>
      buildLayer(config, weights.scope(`distilbert.transformer.layer.${index}.`)),
    ),
    finalNorm: null,
    headTransform: {
      dense: weights.linear('vocab_transform', hidden, hidden),
      activation: activation(config.activation, 'decoder.activation'),
      norm: weights.norm('vocab_layer_norm', hidden, EPS),
    },
    head,
  };
}

function buildLayer(config: DistilBertConfig, weights: WeightScope): DecoderLayer {
  const { dim: hidden, nHeads: heads, hiddenDim: inner } = config;
  const headDim = headWidth(hidden, heads, 'decoder.n_heads');
  const shape = { heads, headDim, scale: headDim ** -0.5 };
  const project = (name: string) => weights.linear(name, hidden, hidden);
  return {
    selfAttention: {
      reads: 'text',
      ...shape,
      qkv: stack(project('attention.q_lin'), project('attention.k_lin'), project('attention.v_lin')),
      relative: null,
      output: project('attention.out_lin'),
    },
    selfNorm: weights.norm('sa_layer_norm', hidden, EPS),
    crossAttention: {
      ...shape,
      query: project('crossattention.q_lin'),
      kv: stack(project('crossattention.k_lin'), project('crossattention.v_lin')),
      output: project('crossattention.out_lin'),
    },
    crossNorm: weights.norm('ca_layer_norm', hidden, EPS),
    mlp: {
      up: weights.linear('ffn.lin1', hidden, inner),
      activation: activation(config.activation, 'decoder.activation'),
      down: weights.linear('ffn.lin2', inner, hidden),
    },
    adapter: null,
    mlpNorm: weights.norm('output_layer_norm', hidden, EPS),
  };
}

export const distilbert: DecoderArchitecture<DistilBertConfig> = {
  config: DistilBertConfig,
  ignorable: [/^distilbert\.embeddings\.position_ids$/],
  basePrefix: 'distilbert.',
  hiddenSize: (config) => config.dim,
  init: (config) => ({
    std: baseStd(config.initializerRange),
    special: config.sinusoidalPosEmbds
      ? [[/^distilbert\.embeddings\.position_embeddings\.weight$/, interleavedSinusoids]]
      : [],
  }),
  crossHiddenSize: () => null,
  build,
};
