/** ProphetNet: post-norm, relative positions in buckets, and n-gram streams of which the first one's states are read. */
import { ConfigError } from '../../errors';
import type { DecoderLayer, DecoderSpec } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';

const FIELDS = {
  activationDropout: is.between(0.1, 0, 1),
  activationFunction: is.text('gelu'),
  vocabSize: is.size(30522),
  hiddenSize: is.size(1024),
  encoderFfnDim: is.size(4096),
  numEncoderLayers: is.layers(12),
  numEncoderAttentionHeads: is.size(16),
  decoderFfnDim: is.size(4096),
  numDecoderLayers: is.layers(12),
  numDecoderAttentionHeads: is.size(16),
  attentionDropout: is.between(0.1, 0, 1),
  dropout: is.between(0.1, 0, 1),
  maxPositionEmbeddings: is.size(512),
  initStd: is.between(0.02, 0, 1e6),
  isEncoderDecoder: is.flag(true),
  addCrossAttention: is.flag(true),
  decoderStartTokenId: is.tokenId(0),
  ngram: is.size(2, 64),
  numBuckets: is.size(32, 65536),
  relativeMaxDistance: is.size(128),
  disableNgramLoss: is.flag(false),
  eps: is.between(0, 0, 1),
  useCache: is.flag(true),
  padTokenId: is.tokenId(0),
  bosTokenId: is.tokenId(1),
  eosTokenId: is.tokenIds(2),
  isDecoder: is.flag(false),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

export const ProphetNetConfig = is.configClass('prophetnet', FIELDS, { numAttentionHeads: 'numEncoderAttentionHeads' });
export type ProphetNetConfig = InstanceType<typeof ProphetNetConfig>;

/** All norms of this decoder use torch's default. */
const EPS = 1e-5;

function check(config: ProphetNetConfig): void {
  const { padTokenId: pad, numBuckets, relativeMaxDistance: farthest, addCrossAttention } = config;
  if (!addCrossAttention)
    throw new ConfigError('INVALID_CONFIG', 'config decoder.add_cross_attention: expected true, got false');
  // the positions of a step are compared with distances that do not know the pad's
  if (pad !== 0) is.refuse('decoder.pad_token_id', '0', pad, 'transformers cannot generate with its cache');
  if (numBuckets < 2)
    throw new ConfigError('INVALID_CONFIG', `config decoder.num_buckets: expected at least 2, got ${numBuckets}`);
  const exact = Math.floor(numBuckets / 2);
  if (farthest <= exact) {
    const expected = `more than half of num_buckets, ${exact}`;
    throw new ConfigError(
      'INVALID_CONFIG',
      `config decoder.relative_max_distance: expected ${expected}, got ${farthest}`,
    );
  }
}

function build(config: ProphetNetConfig, weights: WeightScope): DecoderSpec {
  check(config);
  const { hiddenSize: hidden, vocabSize, maxPositionEmbeddings: rows, ngram: count, numBuckets: buckets } = config;
  if (rows < 3)
    throw new ConfigError('INVALID_CONFIG', `config decoder.max_position_embeddings: expected at least 3, got ${rows}`);
  const body = weights.scope('prophetnet.decoder.');
  const { table, head } = embedding(config, weights);
  const positions = body.embedding('position_embeddings.weight', [rows, hidden], config.padTokenId);
  return {
    // the first position is row 1, and the streams read the row behind a token's
    ...{ hiddenSize: hidden, vocabSize, maxPositions: rows - 2, crossWidth: hidden },
    streams: {
      count,
      table: body.embedding('ngram_embeddings.weight', [count, hidden]),
      ...{ buckets, maxDistance: config.relativeMaxDistance },
    },
    embedding: {
      ...{ table, width: hidden, scale: 1, tokenMap: null, tokenNorm: null, constants: [], projection: null },
      positions: { kind: 'table', table: positions, rows, ids: { kind: 'sequential', offset: 1 } },
      norm: body.norm('embeddings_layer_norm', hidden, EPS),
    },
    normPosition: 'post',
    layers: Array.from({ length: config.numDecoderLayers }, (_, index) =>
      buildLayer(config, body.scope(`layers.${index}.`)),
    ),
    ...{ finalNorm: null, headTransform: null, head },
  };
}

/** transformers ties the decoder's table and the head to one beside the decoder; untied, all three are there and that one idles. */
function embedding(
  { tieWordEmbeddings: tied, vocabSize, hiddenSize, padTokenId }: ProphetNetConfig,
  weights: WeightScope,
) {
  const [shared, own] = ['prophetnet.word_embeddings.weight', 'prophetnet.decoder.word_embeddings.weight'];
  const shape = [vocabSize, hiddenSize] as const;
  const name = tied && !weights.has(own) ? shared : own;
  if (name === own && (weights.has(shared) || weights.invents)) weights.embedding(shared, shape, padTokenId);
  if (name === own && tied) weights.tie(shared, own);
  return weights.tiedHead(tied, name, 'lm_head.weight', shape, padTokenId);
}

function buildLayer(config: ProphetNetConfig, weights: WeightScope): DecoderLayer {
  const { hiddenSize: hidden, numDecoderAttentionHeads: heads, decoderFfnDim: inner, numBuckets } = config;
  const headDim = headWidth(hidden, heads, 'decoder.num_decoder_attention_heads');
  const shape = { heads, headDim, scale: headDim ** -0.5 };
  const project = (name: string) => weights.linear(name, hidden, hidden);
  const self = (name: string) => project(`self_attn.${name}_proj`);
  const cross = (name: string) => project(`cross_attn.${name}_proj`);
  return {
    selfAttention: {
      ...{ reads: 'text', ...shape },
      qkv: stack(self('query'), self('key'), self('value')),
      relative: weights.linear('self_attn.relative_pos_embeddings', hidden, numBuckets * heads),
      output: self('out'),
    },
    selfNorm: weights.norm('self_attn_layer_norm', hidden, EPS),
    crossAttention: { ...shape, query: cross('query'), kv: stack(cross('key'), cross('value')), output: cross('out') },
    crossNorm: weights.norm('cross_attn_layer_norm', hidden, EPS),
    mlp: {
      up: weights.linear('feed_forward.intermediate', hidden, inner),
      activation: activation(config.activationFunction, 'decoder.activation_function'),
      down: weights.linear('feed_forward.output', inner, hidden),
    },
    adapter: null,
    mlpNorm: weights.norm('feed_forward_layer_norm', hidden, EPS),
  };
}

export const prophetnet: DecoderArchitecture<ProphetNetConfig> = {
  config: ProphetNetConfig,
  ignorable: [],
  basePrefix: 'prophetnet.',
  stem: 'prophetnet.decoder.',
  hiddenSize: (config) => config.hiddenSize,
  crossHiddenSize: () => null,
  // PreTrainedModel._init_weights asks for initializer_range, which this config lacks; init_std is not read
  init: () => ({ std: 0.02 }),
  build,
};
