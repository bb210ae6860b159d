/** RoBERTa, XLM-RoBERTa and CamemBERT: BERT's blocks, positions that count non-pad tokens, a head of other names. */
import { baseStd } from '../../spec/init';
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { requirePad, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import {
  BERT_FIELDS,
  bertIgnorable,
  bertPositions,
  buildBert,
  headTransform,
  POST_NORMS,
  tokenTypes,
  type BertConfigValues,
} from './bert-family';

const FIELDS = {
  ...BERT_FIELDS,
  padTokenId: is.tokenId(1),
  bosTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(2),
  classifierDropout: is.optionalNumber(),
};

export const RobertaConfig = is.configClass('roberta', { ...FIELDS, vocabSize: is.size(50265) });
export const XLMRobertaConfig = is.configClass('xlm-roberta', FIELDS);
export const CamembertConfig = is.configClass('camembert', FIELDS);
export type RobertaConfig = InstanceType<typeof RobertaConfig>;
export type XLMRobertaConfig = InstanceType<typeof XLMRobertaConfig>;
export type CamembertConfig = InstanceType<typeof CamembertConfig>;

/** The parts that every RoBERTa shares; `body` ends in a dot. */
export function robertaParts(
  config: BertConfigValues & { readonly typeVocabSize: number },
  weights: WeightScope,
  body: string,
) {
  const { hiddenSize: hidden, vocabSize, maxPositionEmbeddings: rows } = config;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    `${body}embeddings.word_embeddings.weight`,
    'lm_head.decoder.weight',
    [vocabSize, hidden],
    config.padTokenId,
    ['lm_head.decoder.bias', 'lm_head.bias'],
  );
  const embeddings = weights.scope(`${body}embeddings.`);
  return {
    ...{ body, table, head },
    ...bertPositions(embeddings, 'position_embeddings.weight', rows, hidden, requirePad(config)),
    constants: [tokenTypes(embeddings, 'token_type_embeddings.weight', config.typeVocabSize, hidden)],
    // the head's activation is not the config's
    headTransform: headTransform(
      weights.scope('lm_head.'),
      ['dense', 'layer_norm'],
      [hidden, hidden],
      'gelu',
      config.layerNormEps,
    ),
  };
}

function build(config: RobertaConfig, weights: WeightScope): DecoderSpec {
  return buildBert(config, weights, {
    ...robertaParts(config, weights, 'roberta.'),
    ...{ normPosition: 'post', norms: POST_NORMS, embeddingNorm: 'embeddings.LayerNorm', finalNorm: null },
  });
}

const shared = {
  ignorable: bertIgnorable('roberta'),
  basePrefix: 'roberta.',
  hiddenSize: (config: RobertaConfig) => config.hiddenSize,
  init: (config: RobertaConfig) => ({ std: baseStd(config.initializerRange) }),
  crossHiddenSize: () => null,
  build,
};

export const roberta: DecoderArchitecture<RobertaConfig> = { config: RobertaConfig, ...shared };
export const xlmRoberta: DecoderArchitecture<XLMRobertaConfig> = { config: XLMRobertaConfig, ...shared };
export const camembert: DecoderArchitecture<CamembertConfig> = { config: CamembertConfig, ...shared };
