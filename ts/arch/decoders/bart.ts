/** BART: post-norm blocks, learned positions from row 2, a norm over the embedding. */
import type { DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { BART_ALIASES, BART_FIELDS, bartPositions, buildBart } from './bart-family';

export const BartConfig = is.configClass('bart', BART_FIELDS, BART_ALIASES);
export type BartConfig = InstanceType<typeof BartConfig>;

/** Rows of the position table that come before position 0. */
const POSITION_OFFSET = 2;

export const bart: DecoderArchitecture<BartConfig> = {
  config: BartConfig,
  // a bias of the sequence-to-sequence class, which the causal class does not add
  ignorable: [/^final_logits_bias$/],
  basePrefix: 'model.',
  stem: 'model.decoder.',
  hiddenSize: (config) => config.dModel,
  init: (config) => ({ std: config.initStd }),
  crossHiddenSize: () => null,
  build: (config, weights) =>
    buildBart(config, weights, {
      normPosition: 'post',
      positions: bartPositions(config, weights, POSITION_OFFSET),
      embeddingNorm: 'sum',
      finalNorm: false,
    }),
};
