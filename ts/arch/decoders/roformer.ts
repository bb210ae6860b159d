/** RoFormer: BERT's blocks, whose queries and keys are turned by their position instead of adding it to the token. */
import { ConfigError } from '../../errors';
import { baseStd, sinusoids } from '../../spec/init';
import type { DecoderPositions, DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS } from './bert-family';
import { headTransform, tokenTypes } from './bert-parts';

const FIELDS = {
  ...BERT_FIELDS,
  vocabSize: is.size(50000),
  /** Null: the hidden size. */
  embeddingSize: is.optionalSize(),
  maxPositionEmbeddings: is.size(1536),
  rotaryValue: is.flag(false),
};

export const RoFormerConfig = is.configClass('roformer', FIELDS);
export type RoFormerConfig = InstanceType<typeof RoFormerConfig>;

/** The table of angles is stored: sines in the first half of a row, cosines in the second. */
function rotary(config: RoFormerConfig, weights: WeightScope): DecoderPositions {
  const { hiddenSize: hidden, numAttentionHeads: heads, maxPositionEmbeddings: rows } = config;
  const headDim = headWidth(hidden, heads, 'decoder.num_attention_heads');
  if (headDim % 2) {
    const expected = `heads of an even width, which positions turn in pairs`;
    throw new ConfigError('INVALID_CONFIG', `config decoder.num_attention_heads: expected ${expected}, got ${headDim}`);
  }
  const table = weights.embedding('roformer.encoder.embed_positions.weight', [rows, headDim]);
  const turns = config.rotaryValue ? 'keysAndValues' : 'keys';
  return { kind: 'rotary', table, rows, turns, ids: { kind: 'sequential', offset: 0 } };
}

function build(config: RoFormerConfig, weights: WeightScope): DecoderSpec {
  const { hiddenSize: hidden, vocabSize } = config;
  const width = config.embeddingSize ?? hidden;
  const { table, head } = weights.tiedHead(
    config.tieWordEmbeddings,
    'roformer.embeddings.word_embeddings.weight',
    'cls.predictions.decoder.weight',
    [vocabSize, width],
    config.padTokenId,
    ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
  );
  return buildBert(config, weights, {
    ...{ body: 'roformer.', normPosition: 'post', norms: POST_NORMS, table, head, finalNorm: null },
    ...{ positions: rotary(config, weights), maxPositions: config.maxPositionEmbeddings },
    constants: [tokenTypes(weights, 'roformer.embeddings.token_type_embeddings.weight', config.typeVocabSize, width)],
    embeddingNorm: 'embeddings.LayerNorm',
    embeddingWidth: width,
    embeddingProjection: width === hidden ? null : weights.linear('roformer.embeddings_project', width, hidden),
    headTransform: headTransform(
      weights.scope('cls.predictions.transform.'),
      ['dense', 'LayerNorm'],
      [hidden, width],
      activation(config.hiddenAct, 'decoder.hidden_act'),
      config.layerNormEps,
    ),
  });
}

export const roformer: DecoderArchitecture<RoFormerConfig> = {
  ...bertFamily<RoFormerConfig>(RoFormerConfig, 'roformer', build),
  // modeling_roformer.py, RoFormerPreTrainedModel._init_weights
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [[/embed_positions\.weight$/, sinusoids]],
  }),
};
