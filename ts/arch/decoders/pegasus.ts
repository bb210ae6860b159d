/** Pegasus and Marian: a stored table of sinusoids from row 0, no norm over the embedding. Pegasus is pre-norm, Marian post-norm. */
import { sinusoids } from '../../spec/init';
import * as is from '../config-class';
import { BART_ALIASES, BART_FIELDS, bartFamily, bartPositions } from './bart-family';

const { bosTokenId: _bos, classifierDropout: _dropout, ...BASE } = BART_FIELDS;
const PEGASUS_FIELDS = {
  ...BASE,
  padTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(1),
  decoderStartTokenId: is.tokenId(0),
  forcedEosTokenId: is.tokenIds(1),
};
const MARIAN_FIELDS = {
  ...BASE,
  vocabSize: is.size(58101),
  decoderVocabSize: is.optionalSize(),
  padTokenId: is.tokenId(58100),
  eosTokenId: is.tokenIds(0),
  decoderStartTokenId: is.tokenId(58100),
  forcedEosTokenId: is.tokenIds(0),
  shareEncoderDecoderEmbeddings: is.flag(true),
};

export const PegasusConfig = is.configClass('pegasus', PEGASUS_FIELDS, BART_ALIASES);
export const MarianConfig = is.configClass('marian', MARIAN_FIELDS, BART_ALIASES);
export type PegasusConfig = InstanceType<typeof PegasusConfig>;
export type MarianConfig = InstanceType<typeof MarianConfig>;

const init = ({ initStd }: { readonly initStd: number }) => ({
  std: initStd,
  special: [[/^model\.decoder\.embed_positions\.weight$/, sinusoids]] as const,
});

export const pegasus = bartFamily<PegasusConfig>(
  PegasusConfig,
  (config, weights) => ({
    normPosition: 'pre',
    positions: bartPositions(config, weights, 0),
    embeddingNorm: null,
    finalNorm: 'layer_norm',
  }),
  init,
);

export const marian = bartFamily<MarianConfig>(
  MarianConfig,
  (config, weights) => {
    const { decoderVocabSize, vocabSize } = config;
    if (decoderVocabSize !== null && decoderVocabSize !== vocabSize)
      is.refuse(
        'decoder.decoder_vocab_size',
        `vocab_size ${vocabSize}`,
        decoderVocabSize,
        'the head has vocab_size rows',
      );
    return {
      normPosition: 'post',
      positions: bartPositions(config, weights, 0),
      embeddingNorm: null,
      finalNorm: null,
    };
  },
  init,
);
