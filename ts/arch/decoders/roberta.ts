/** RoBERTa and its relatives: BERT's blocks, positions that count non-pad tokens, a head of other names. */
import type { WeightScope } from '../../spec/weights';
import { requirePad } from '../architecture';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS, type BertConfigValues } from './bert-family';
import { bertPositions, headTransform, tokenTypes } from './bert-parts';

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
export const Data2VecTextConfig = is.configClass('data2vec-text', FIELDS);
export const RobertaPreLayerNormConfig = is.configClass('roberta-prelayernorm', {
  ...FIELDS,
  vocabSize: is.size(50265),
});
export const XLMRobertaXLConfig = is.configClass('xlm-roberta-xl', {
  ...FIELDS,
  vocabSize: is.size(250880),
  hiddenSize: is.size(2560),
  numHiddenLayers: is.layers(36),
  numAttentionHeads: is.size(32),
  intermediateSize: is.size(10240),
  maxPositionEmbeddings: is.size(514),
  typeVocabSize: is.size(1),
  layerNormEps: is.between(1e-5, 0, 1),
});
export type RobertaConfig = InstanceType<typeof RobertaConfig>;
export type XLMRobertaConfig = InstanceType<typeof XLMRobertaConfig>;
export type Data2VecTextConfig = InstanceType<typeof Data2VecTextConfig>;
export type RobertaPreLayerNormConfig = InstanceType<typeof RobertaPreLayerNormConfig>;
export type XLMRobertaXLConfig = InstanceType<typeof XLMRobertaXLConfig>;
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

const POST = {
  normPosition: 'post',
  norms: POST_NORMS,
  embeddingNorm: 'embeddings.LayerNorm',
  finalNorm: null,
} as const;

const build = (config: RobertaConfig, weights: WeightScope) =>
  buildBert(config, weights, { ...robertaParts(config, weights, 'roberta.'), ...POST });

export const roberta = bertFamily<RobertaConfig>(RobertaConfig, 'roberta', build);
export const xlmRoberta = bertFamily<XLMRobertaConfig>(XLMRobertaConfig, 'roberta', build);
export const camembert = bertFamily<CamembertConfig>(CamembertConfig, 'roberta', build);
export const data2vecText = bertFamily<Data2VecTextConfig>(Data2VecTextConfig, 'data2vec_text', (config, weights) =>
  buildBert(config, weights, { ...robertaParts(config, weights, 'data2vec_text.'), ...POST }),
);

export const robertaPreLayerNorm = bertFamily<RobertaPreLayerNormConfig>(
  RobertaPreLayerNormConfig,
  'roberta_prelayernorm',
  (config, weights) =>
    buildBert(config, weights, {
      ...robertaParts(config, weights, 'roberta_prelayernorm.'),
      ...{ normPosition: 'pre', embeddingNorm: 'embeddings.LayerNorm', finalNorm: 'LayerNorm' },
      norms: { self: 'attention.LayerNorm', cross: 'crossattention.LayerNorm', mlp: 'intermediate.LayerNorm' },
    }),
);

export const xlmRobertaXl = bertFamily<XLMRobertaXLConfig>(XLMRobertaXLConfig, 'roberta', (config, weights) =>
  buildBert(config, weights, {
    ...robertaParts(config, weights, 'roberta.'),
    ...{ normPosition: 'pre', embeddingNorm: null, finalNorm: 'encoder.LayerNorm' },
    norms: {
      self: 'attention.self_attn_layer_norm',
      cross: 'crossattention.self_attn_layer_norm',
      mlp: 'LayerNorm',
    },
  }),
);
