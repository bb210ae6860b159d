/** Blenderbot (pre-norm) and Blenderbot-small (post-norm, a norm over the tokens before positions are added). */
import * as is from '../config-class';
import { BART_ALIASES, BART_FIELDS, bartFamily, bartPositions } from './bart-family';

const { classifierDropout: _dropout, ...BASE } = BART_FIELDS;
const TOKENS = { padTokenId: is.tokenId(0), bosTokenId: is.tokenId(1), decoderStartTokenId: is.tokenId(1) };
const FIELDS = {
  ...BASE,
  ...TOKENS,
  vocabSize: is.size(8008),
  maxPositionEmbeddings: is.size(128),
  encoderLayers: is.layers(2),
  encoderFfnDim: is.size(10240),
  encoderAttentionHeads: is.size(32),
  decoderLayers: is.layers(24),
  decoderFfnDim: is.size(10240),
  decoderAttentionHeads: is.size(32),
  dModel: is.size(2560),
  encoderNoRepeatNgramSize: is.optionalSize(3),
};
const SMALL_FIELDS = {
  ...BASE,
  ...TOKENS,
  maxPositionEmbeddings: is.size(512),
  encoderLayers: is.layers(8),
  encoderFfnDim: is.size(2048),
  decoderLayers: is.layers(8),
  decoderFfnDim: is.size(2048),
  dModel: is.size(512),
};

export const BlenderbotConfig = is.configClass('blenderbot', FIELDS, BART_ALIASES);
export const BlenderbotSmallConfig = is.configClass('blenderbot-small', SMALL_FIELDS, BART_ALIASES);
export type BlenderbotConfig = InstanceType<typeof BlenderbotConfig>;
export type BlenderbotSmallConfig = InstanceType<typeof BlenderbotSmallConfig>;

export const blenderbot = bartFamily<BlenderbotConfig>(BlenderbotConfig, (config, weights) => ({
  normPosition: 'pre',
  positions: bartPositions(config, weights, 0),
  embeddingNorm: null,
  finalNorm: 'layer_norm',
}));

export const blenderbotSmall = bartFamily<BlenderbotSmallConfig>(BlenderbotSmallConfig, (config, weights) => ({
  normPosition: 'post',
  positions: bartPositions(config, weights, 0),
  embeddingNorm: 'tokens',
  finalNorm: null,
}));
