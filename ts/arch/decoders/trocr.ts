/** TrOCR: post-norm blocks as in BART, learned or sinusoidal positions, cross-attention of its own input width. */
import type { DecoderPositions, DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { requirePad, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { bartPositions, buildBart } from './bart-family';

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

/** Rows of the learned table that come before position 0. */
const POSITION_OFFSET = 2;

function build(config: TrOCRConfig, weights: WeightScope): DecoderSpec {
  return buildBart(config, weights, {
    normPosition: 'post',
    positions: config.useLearnedPositionEmbeddings
      ? bartPositions(config, weights, POSITION_OFFSET)
      : sinusoidalPositions(config),
    embeddingNorm: config.layernormEmbedding ? 'sum' : null,
    finalNorm: null,
    head: 'output_projection',
    crossWidth: config.crossAttentionHiddenSize ?? config.dModel,
  });
}

function sinusoidalPositions(config: TrOCRConfig): DecoderPositions {
  const padTokenId = requirePad(config);
  const rows = config.maxPositionEmbeddings + padTokenId + 1;
  return { kind: 'sinusoidal', rows, zeroRow: padTokenId, ids: { kind: 'nonPad', padTokenId } };
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
