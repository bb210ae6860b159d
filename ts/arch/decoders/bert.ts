/** BERT: post-norm blocks, learned positions, token type 0, a transform before the output head. */
import { baseStd } from '../../spec/init';
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import type { DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import {
  BERT_FIELDS,
  bertIgnorable,
  bertPositions,
  buildBert,
  headTransform,
  POST_NORMS,
  tokenTypes,
} from './bert-family';

const FIELDS = { ...BERT_FIELDS, classifierDropout: is.optionalNumber() };

export const BertConfig = is.configClass('bert', FIELDS);
export type BertConfig = InstanceType<typeof BertConfig>;

function build(config: BertConfig, weights: WeightScope): DecoderSpec {
  const { hiddenSize: hidden, vocabSize, maxPositionEmbeddings: rows, typeVocabSize, layerNormEps: eps } = config;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    'bert.embeddings.word_embeddings.weight',
    'cls.predictions.decoder.weight',
    [vocabSize, hidden],
    config.padTokenId,
    ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
  );
  const transform = weights.scope('cls.predictions.transform.');
  return buildBert(config, weights, {
    ...{ body: 'bert.', normPosition: 'post', norms: POST_NORMS, table, head, finalNorm: null },
    ...bertPositions(weights, 'bert.embeddings.position_embeddings.weight', rows, hidden, null),
    constants: [tokenTypes(weights, 'bert.embeddings.token_type_embeddings.weight', typeVocabSize, hidden)],
    embeddingNorm: 'embeddings.LayerNorm',
    headTransform: headTransform(
      transform,
      ['dense', 'LayerNorm'],
      [hidden, hidden],
      activation(config.hiddenAct, 'decoder.hidden_act'),
      eps,
    ),
  });
}

export const bert: DecoderArchitecture<BertConfig> = {
  config: BertConfig,
  ignorable: bertIgnorable('bert'),
  basePrefix: 'bert.',
  hiddenSize: (config) => config.hiddenSize,
  init: (config) => ({ std: baseStd(config.initializerRange) }),
  crossHiddenSize: () => null,
  build,
};
