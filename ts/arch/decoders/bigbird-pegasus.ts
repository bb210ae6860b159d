/** BigBird-Pegasus, whose decoder attends fully: pre-norm, learned positions from row 0, attention without biases. */
import * as is from '../config-class';
import { BART_ALIASES, BART_FIELDS, bartFamily, bartPositions } from './bart-family';

const { forcedEosTokenId: _none, ...BASE } = BART_FIELDS;
const FIELDS = {
  ...BASE,
  vocabSize: is.size(96103),
  maxPositionEmbeddings: is.size(4096),
  encoderLayers: is.layers(16),
  decoderLayers: is.layers(16),
  activationFunction: is.text('gelu_new'),
  decoderStartTokenId: is.tokenId(2),
  scaleEmbedding: is.flag(true),
  padTokenId: is.tokenId(0),
  bosTokenId: is.tokenId(2),
  eosTokenId: is.tokenIds(1),
  attentionType: is.text('block_sparse'),
  blockSize: is.size(64),
  numRandomBlocks: is.size(3),
  useBias: is.flag(false),
};

export const BigBirdPegasusConfig = is.configClass('bigbird_pegasus', FIELDS, BART_ALIASES);
export type BigBirdPegasusConfig = InstanceType<typeof BigBirdPegasusConfig>;

export const bigbirdPegasus = bartFamily<BigBirdPegasusConfig>(BigBirdPegasusConfig, (config, weights) => ({
  normPosition: 'pre',
  positions: bartPositions(config, weights, 0),
  embeddingNorm: null,
  // the norm after the last block bears this name
  finalNorm: 'layernorm_embedding',
  attentionBias: config.useBias,
  ownHead: true,
}));
