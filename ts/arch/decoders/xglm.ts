/** XGLM: pre-norm blocks, computed sinusoidal positions from row 2, names without the inner `decoder.`. */
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { buildBart } from './bart-family';

const FIELDS = {
  vocabSize: is.size(256008),
  maxPositionEmbeddings: is.size(2048),
  dModel: is.size(1024),
  ffnDim: is.size(4096),
  numLayers: is.layers(24),
  attentionHeads: is.size(16),
  activationFunction: is.text('gelu'),
  dropout: is.between(0.1, 0, 1),
  attentionDropout: is.between(0.1, 0, 1),
  activationDropout: is.between(0, 0, 1),
  layerdrop: is.between(0, 0, 1),
  initStd: is.between(0.02, 0, 1e6),
  scaleEmbedding: is.flag(true),
  useCache: is.flag(true),
  decoderStartTokenId: is.tokenId(2),
  padTokenId: is.tokenId(1),
  bosTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(2),
  addCrossAttention: is.flag(false),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

export const XGLMConfig = is.configClass('xglm', FIELDS, {
  hiddenSize: 'dModel',
  numAttentionHeads: 'attentionHeads',
  numHiddenLayers: 'numLayers',
});
export type XGLMConfig = InstanceType<typeof XGLMConfig>;

/** Rows of the position table that come before position 0. */
const POSITION_OFFSET = 2;

function build(config: XGLMConfig, weights: WeightScope): DecoderSpec {
  if (!config.addCrossAttention)
    is.refuse('decoder.add_cross_attention', 'true', false, 'without it the image is not read');
  const { numLayers: decoderLayers, attentionHeads: decoderAttentionHeads, ffnDim: decoderFfnDim } = config;
  const rows = config.maxPositionEmbeddings + POSITION_OFFSET;
  // without a pad token no row is zero; rows before the offset are never read
  const zeroRow = config.padTokenId !== null && config.padTokenId >= 0 ? config.padTokenId : 0;
  return buildBart({ ...config, decoderLayers, decoderAttentionHeads, decoderFfnDim }, weights, {
    normPosition: 'pre',
    positions: { kind: 'sinusoidal', rows, zeroRow, ids: { kind: 'sequential', offset: POSITION_OFFSET } },
    embeddingNorm: null,
    finalNorm: 'layer_norm',
    body: 'model.',
  });
}

export const xglm: DecoderArchitecture<XGLMConfig> = {
  config: XGLMConfig,
  ignorable: [/^model\.embed_positions\.weights$/],
  basePrefix: 'model.',
  hiddenSize: (config) => config.dModel,
  init: (config) => ({ std: config.initStd }),
  crossHiddenSize: () => null,
  build,
};
