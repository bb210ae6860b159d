/** mBART, the decoder of Donut and Nougat: BART with pre-norm blocks and a norm after the last. */
import * as is from '../config-class';
import { BART_ALIASES, BART_FIELDS, bartFamily, bartPositions } from './bart-family';

const FIELDS = { ...BART_FIELDS, decoderStartTokenId: is.tokenId() };

export const MBartConfig = is.configClass('mbart', FIELDS, BART_ALIASES);
export type MBartConfig = InstanceType<typeof MBartConfig>;

/** Rows of the position table that come before position 0. */
const POSITION_OFFSET = 2;

export const mbart = bartFamily<MBartConfig>(MBartConfig, (config, weights) => ({
  normPosition: 'pre',
  positions: bartPositions(config, weights, POSITION_OFFSET),
  embeddingNorm: 'sum',
  finalNorm: 'layer_norm',
}));
