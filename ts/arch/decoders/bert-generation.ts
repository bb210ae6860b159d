/** BertGeneration: BERT's blocks without token types, and a head without a transform. */
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS } from './bert-family';
import { bertPositions } from './bert-parts';

const { typeVocabSize: _types, ...BASE } = BERT_FIELDS;
const FIELDS = {
  ...BASE,
  vocabSize: is.size(50358),
  hiddenSize: is.size(1024),
  numHiddenLayers: is.layers(24),
  numAttentionHeads: is.size(16),
  intermediateSize: is.size(4096),
  bosTokenId: is.tokenId(2),
  eosTokenId: is.tokenIds(1),
};

export const BertGenerationConfig = is.configClass('bert-generation', FIELDS);
export type BertGenerationConfig = InstanceType<typeof BertGenerationConfig>;

function build(config: BertGenerationConfig, weights: WeightScope): DecoderSpec {
  const { hiddenSize: hidden, vocabSize, maxPositionEmbeddings: rows } = config;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    'bert.embeddings.word_embeddings.weight',
    'lm_head.decoder.weight',
    [vocabSize, hidden],
    config.padTokenId,
    ['lm_head.decoder.bias', 'lm_head.bias'],
  );
  return buildBert(config, weights, {
    ...{ body: 'bert.', normPosition: 'post', norms: POST_NORMS, table, head, finalNorm: null },
    ...bertPositions(weights, 'bert.embeddings.position_embeddings.weight', rows, hidden, null),
    ...{ constants: [], embeddingNorm: 'embeddings.LayerNorm', headTransform: null },
  });
}

export const bertGeneration = bertFamily<BertGenerationConfig>(BertGenerationConfig, 'bert', build);
