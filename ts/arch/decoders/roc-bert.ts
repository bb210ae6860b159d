/** RoCBert: BERT whose tokens have a shape and a pronunciation besides; a composite names neither, so both are those of id 0. */
import { ConfigError } from '../../errors';
import type { TokenMap } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import * as is from '../config-class';
import { bertDecoder } from './bert';
import { BERT_FIELDS, bertFamily } from './bert-family';

const { bosTokenId: _bos, eosTokenId: _eos, ...BASE } = BERT_FIELDS;
const FIELDS = {
  ...BASE,
  classifierDropout: is.optionalNumber(),
  enablePronunciation: is.flag(true),
  enableShape: is.flag(true),
  pronunciationEmbedDim: is.size(768),
  pronunciationVocabSize: is.size(910),
  shapeEmbedDim: is.size(512),
  shapeVocabSize: is.size(24858),
  concatInput: is.flag(true),
};

export const RoCBertConfig = is.configClass('roc_bert', FIELDS);
export type RoCBertConfig = InstanceType<typeof RoCBertConfig>;

/**
 * modeling_roc_bert.py, RoCBertEmbeddings.forward: without ids of shapes and pronunciations, `concat_input` puts rows 0 of
 * their tables beside the token, and otherwise they take no part. The tables belong to the model in any case.
 */
function tokenMap(config: RoCBertConfig, embeddings: WeightScope): TokenMap | null {
  const side = (key: string, name: string, rows: number, width: number, enabled: boolean) => {
    if (config.padTokenId !== null && config.padTokenId >= rows) {
      const expected = `more than pad_token_id ${config.padTokenId}`;
      throw new ConfigError('INVALID_CONFIG', `config decoder.${key}: expected ${expected}, got ${rows}`);
    }
    const row = { table: embeddings.embedding(name, [rows, width], config.padTokenId), rows, width };
    return enabled ? [row] : [];
  };
  const { shapeVocabSize, shapeEmbedDim, pronunciationVocabSize, pronunciationEmbedDim, hiddenSize: hidden } = config;
  const beside = [
    ...side('shape_vocab_size', 'shape_embed.weight', shapeVocabSize, shapeEmbedDim, config.enableShape),
    ...side(
      'pronunciation_vocab_size',
      'pronunciation_embed.weight',
      pronunciationVocabSize,
      pronunciationEmbedDim,
      config.enablePronunciation,
    ),
  ];
  if (!config.concatInput) return null;
  const width = beside.reduce((sum, row) => sum + row.width, hidden);
  return { beside, map: embeddings.linear('map_inputs_layer', width, hidden) };
}

export const rocBert = bertFamily<RoCBertConfig>(RoCBertConfig, 'roc_bert', (config, weights) =>
  bertDecoder(config, weights, 'roc_bert.', { tokenMap: tokenMap(config, weights.scope('roc_bert.embeddings.')) }),
);
