/** BART, and MVP and PLBART of the same build: post-norm blocks, learned positions from row 2, a norm over the embedding. */
import type { WeightScope } from '../../spec/weights';
import * as is from '../config-class';
import {
  BART_ALIASES,
  BART_FIELDS,
  bartFamily,
  bartPositions,
  type BartConfigValues,
  type BartParts,
} from './bart-family';

const { forcedEosTokenId: _none, ...MVP_BASE } = BART_FIELDS;
const MVP_FIELDS = {
  ...MVP_BASE,
  vocabSize: is.size(50267),
  usePrompt: is.flag(false),
  promptLength: is.size(100),
  promptMidDim: is.size(800),
};
const PLBART_FIELDS = {
  ...BART_FIELDS,
  vocabSize: is.size(50005),
  encoderLayers: is.layers(6),
  encoderFfnDim: is.size(3072),
  encoderAttentionHeads: is.size(12),
  decoderLayers: is.layers(6),
  decoderFfnDim: is.size(3072),
  decoderAttentionHeads: is.size(12),
  dModel: is.size(768),
  attentionDropout: is.between(0.1, 0, 1),
  scaleEmbedding: is.flag(true),
  decoderStartTokenId: is.tokenId(),
};

export const BartConfig = is.configClass('bart', BART_FIELDS, BART_ALIASES);
export const MvpConfig = is.configClass('mvp', MVP_FIELDS, BART_ALIASES);
export const PLBartConfig = is.configClass('plbart', PLBART_FIELDS, { ...BART_ALIASES, initializerRange: 'initStd' });
export type BartConfig = InstanceType<typeof BartConfig>;
export type MvpConfig = InstanceType<typeof MvpConfig>;
export type PLBartConfig = InstanceType<typeof PLBartConfig>;

/** Rows of the position table that come before position 0. */
const POSITION_OFFSET = 2;

const parts = (config: BartConfigValues, weights: WeightScope): BartParts => ({
  normPosition: 'post',
  positions: bartPositions(config, weights, POSITION_OFFSET),
  embeddingNorm: 'sum',
  finalNorm: null,
});

export const bart = bartFamily<BartConfig>(BartConfig, parts);
export const plbart = bartFamily<PLBartConfig>(PLBartConfig, parts);
export const mvp = bartFamily<MvpConfig>(MvpConfig, (config, weights) => {
  if (config.usePrompt) is.refuse('decoder.use_prompt', 'false', true, 'prompt tuning is not part of this package');
  return parts(config, weights);
});
