/** RemBERT: BERT's blocks between an embedding and an output head that have widths of their own and are never tied. */
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS } from './bert-family';
import { bertPositions, headTransform, tokenTypes } from './bert-parts';

const FIELDS = {
  ...BERT_FIELDS,
  vocabSize: is.size(250300),
  hiddenSize: is.size(1152),
  numHiddenLayers: is.layers(32),
  numAttentionHeads: is.size(18),
  inputEmbeddingSize: is.size(256),
  outputEmbeddingSize: is.size(1664),
  intermediateSize: is.size(4608),
  hiddenDropoutProb: is.between(0, 0, 1),
  attentionProbsDropoutProb: is.between(0, 0, 1),
  classifierDropoutProb: is.between(0.1, 0, 1),
  bosTokenId: is.tokenId(312),
  eosTokenId: is.tokenIds(313),
  tieWordEmbeddings: is.flag(false),
};

export const RemBertConfig = is.configClass('rembert', FIELDS);
export type RemBertConfig = InstanceType<typeof RemBertConfig>;

function build(config: RemBertConfig, weights: WeightScope): DecoderSpec {
  const { hiddenSize: hidden, inputEmbeddingSize: width, outputEmbeddingSize: out, vocabSize } = config;
  const embeddings = weights.scope('rembert.embeddings.');
  const rows = config.maxPositionEmbeddings;
  return buildBert(config, weights, {
    ...{ body: 'rembert.', normPosition: 'post', norms: POST_NORMS, finalNorm: null },
    table: embeddings.embedding('word_embeddings.weight', [vocabSize, width], config.padTokenId),
    head: weights.linear('cls.predictions.decoder', out, vocabSize),
    ...bertPositions(embeddings, 'position_embeddings.weight', rows, width, null),
    constants: [tokenTypes(embeddings, 'token_type_embeddings.weight', config.typeVocabSize, width)],
    embeddingNorm: 'embeddings.LayerNorm',
    embeddingWidth: width,
    embeddingProjection: weights.linear('rembert.encoder.embedding_hidden_mapping_in', width, hidden),
    headTransform: headTransform(
      weights.scope('cls.predictions.'),
      ['dense', 'LayerNorm'],
      [hidden, out],
      activation(config.hiddenAct, 'decoder.hidden_act'),
      config.layerNormEps,
    ),
  });
}

export const rembert = bertFamily<RemBertConfig>(RemBertConfig, 'rembert', build);
