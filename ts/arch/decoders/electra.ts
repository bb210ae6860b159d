/** ELECTRA: BERT's blocks behind an embedding of its own width, which the output head shares. */
import type { DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS } from './bert-family';
import { bertPositions, headTransform, tokenTypes } from './bert-parts';

const FIELDS = {
  ...BERT_FIELDS,
  embeddingSize: is.size(128),
  hiddenSize: is.size(256),
  numAttentionHeads: is.size(4),
  intermediateSize: is.size(1024),
  summaryType: is.text('first'),
  summaryUseProj: is.flag(true),
  summaryActivation: is.optionalText(),
  summaryLastDropout: is.between(0.1, 0, 1),
  classifierDropout: is.optionalNumber(),
};

export const ElectraConfig = is.configClass('electra', FIELDS);
export type ElectraConfig = InstanceType<typeof ElectraConfig>;

function build(config: ElectraConfig, weights: WeightScope): DecoderSpec {
  const { hiddenSize: hidden, embeddingSize: width, vocabSize, layerNormEps: eps } = config;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    'electra.embeddings.word_embeddings.weight',
    'generator_lm_head.weight',
    [vocabSize, width],
    config.padTokenId,
    ['generator_lm_head.bias'],
  );
  const embeddings = weights.scope('electra.embeddings.');
  return buildBert(config, weights, {
    ...{ body: 'electra.', normPosition: 'post', norms: POST_NORMS, table, head, finalNorm: null },
    ...bertPositions(embeddings, 'position_embeddings.weight', config.maxPositionEmbeddings, width, null),
    constants: [tokenTypes(embeddings, 'token_type_embeddings.weight', config.typeVocabSize, width)],
    embeddingNorm: 'embeddings.LayerNorm',
    embeddingWidth: width,
    embeddingProjection: width === hidden ? null : weights.linear('electra.embeddings_project', width, hidden),
    // the head's activation is not the config's
    headTransform: headTransform(
      weights.scope('generator_predictions.'),
      ['dense', 'LayerNorm'],
      [hidden, width],
      'gelu',
      eps,
    ),
  });
}

export const electra = bertFamily<ElectraConfig>(ElectraConfig, 'electra', build);
