/** BERT, and Ernie and BigBird of the same build: post-norm, learned positions, token type 0, a transform before the head. */
import type { ConstantRow, DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS, type BertConfigValues, type BertParts } from './bert-family';
import { bertPositions, headTransform, tokenTypes } from './bert-parts';

const FIELDS = { ...BERT_FIELDS, classifierDropout: is.optionalNumber() };
const ERNIE_FIELDS = { ...FIELDS, taskTypeVocabSize: is.size(3), useTaskId: is.flag(false) };

const BIG_BIRD_FIELDS = {
  ...FIELDS,
  vocabSize: is.size(50358),
  hiddenAct: is.text('gelu_new'),
  maxPositionEmbeddings: is.size(4096),
  bosTokenId: is.tokenId(1),
  eosTokenId: is.tokenIds(2),
  sepTokenId: is.tokenId(66),
  attentionType: is.text('block_sparse'),
  useBias: is.flag(true),
  rescaleEmbeddings: is.flag(false),
  blockSize: is.size(64),
  numRandomBlocks: is.size(3),
};

export const BertConfig = is.configClass('bert', FIELDS);
export const ErnieConfig = is.configClass('ernie', ERNIE_FIELDS);
export type BertConfig = InstanceType<typeof BertConfig>;
export const BigBirdConfig = is.configClass('big_bird', BIG_BIRD_FIELDS);
export type BigBirdConfig = InstanceType<typeof BigBirdConfig>;
export type ErnieConfig = InstanceType<typeof ErnieConfig>;

/** What a relative adds to BERT. */
type Extras = { readonly constants?: readonly ConstantRow[] } & Pick<
  BertParts,
  'embeddingScale' | 'attentionBias' | 'selfReads' | 'tokenMap'
>;

/** BERT under another `body` name, which ends in a dot. */
export function bertDecoder(
  config: BertConfigValues & { readonly typeVocabSize: number },
  weights: WeightScope,
  body: string,
  { constants = [], ...extras }: Extras = {},
): DecoderSpec {
  const { hiddenSize: hidden, vocabSize, maxPositionEmbeddings: rows, layerNormEps: eps } = config;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    `${body}embeddings.word_embeddings.weight`,
    'cls.predictions.decoder.weight',
    [vocabSize, hidden],
    config.padTokenId,
    ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
  );
  const embeddings = weights.scope(`${body}embeddings.`);
  const types = tokenTypes(embeddings, 'token_type_embeddings.weight', config.typeVocabSize, hidden);
  return buildBert(config, weights, {
    ...{ body, normPosition: 'post', norms: POST_NORMS, table, head, finalNorm: null },
    ...bertPositions(embeddings, 'position_embeddings.weight', rows, hidden, null),
    constants: [types, ...constants],
    embeddingNorm: 'embeddings.LayerNorm',
    headTransform: headTransform(
      weights.scope('cls.predictions.transform.'),
      ['dense', 'LayerNorm'],
      [hidden, hidden],
      activation(config.hiddenAct, 'decoder.hidden_act'),
      eps,
    ),
    ...extras,
  });
}

export const bert = bertFamily<BertConfig>(BertConfig, 'bert', (config, weights) =>
  bertDecoder(config, weights, 'bert.'),
);

export const ernie = bertFamily<ErnieConfig>(ErnieConfig, 'ernie', (config, weights) => {
  const { useTaskId, taskTypeVocabSize: rows, hiddenSize } = config;
  const name = 'ernie.embeddings.task_type_embeddings.weight';
  return bertDecoder(config, weights, 'ernie.', {
    constants: useTaskId ? [tokenTypes(weights, name, rows, hiddenSize)] : [],
  });
});

/**
 * With cross-attention transformers makes BigBird attend fully, whatever attention_type says, and hands the encoder's output to
 * its self-attention too (modeling_big_bird.py, BigBirdLayer.forward). Checkpoints were trained so; this follows.
 */
export const bigBird = bertFamily<BigBirdConfig>(BigBirdConfig, 'bert', (config, weights) =>
  bertDecoder(config, weights, 'bert.', {
    embeddingScale: config.rescaleEmbeddings ? Math.sqrt(config.hiddenSize) : 1,
    attentionBias: config.useBias,
    selfReads: 'image',
  }),
);
