/**
 * One half of a new composite from a checkpoint of its own: its config, and its tensors under the names they will have.
 * transformers modeling_vision_encoder_decoder.py, from_encoder_decoder_pretrained.
 */
import { ConfigError } from '../errors';
import type { TensorSource, TensorTable } from '../files/tensor-table';
import { cloneJson } from '../json';
import type { DecoderArchitecture, EncoderArchitecture } from './architecture';
import { BaseConfig, requireObject, show, type JsonObject } from './config-class';
import { decoderFor, encoderFor } from './registry';
import { COMPOSITE_MODEL_TYPE } from './vision-encoder-decoder';

export type Side = 'encoder' | 'decoder';

export interface Half {
  config: BaseConfig;
  /** By composite name: `encoder.…`, `decoder.…`. */
  tensors: Map<string, TensorSource>;
  /** Of these, what may be left over without a word: the heads and halves of other tasks. */
  spare: Set<string>;
}

/**
 * `json` and `table`: the checkpoint's config.json and tensors, of the bare model, of one with a head, of a
 * sequence-to-sequence model (decoders) or of a whole vision encoder-decoder. `change`: options of the config class that
 * differ from the file's, or a config instead of it.
 */
export function readHalf(side: Side, json: JsonObject, table: TensorTable, change: object = {}): Half {
  const whole = json['model_type'] === COMPOSITE_MODEL_TYPE;
  const own = cloneJson(whole ? requireObject(json[side], side) : json);
  const config = readConfig(side, own, change);
  const cut = whole ? below(table.tensors, `${side}.`) : table.tensors;
  const arch = architectureOf(side, config.modelType);
  const tensors = side === 'encoder' ? bareNames(arch, cut) : headedNames(arch as DecoderArchitecture, cut);
  // With a changed config the file may hold more than is asked for: the layers that were cut off.
  const changed = Object.keys(change).length > 0 || change instanceof BaseConfig;
  const stem = side === 'encoder' ? '' : ((arch as DecoderArchitecture).stem ?? arch.basePrefix);
  const spare = [...tensors.keys()].filter((name) => changed || !name.startsWith(stem));
  const full = (name: string) => `${side}.${name}`;
  return {
    config,
    tensors: new Map([...tensors].map(([name, source]) => [full(name), source])),
    spare: new Set(spare.map(full)),
  };
}

function architectureOf(side: Side, modelType: string): EncoderArchitecture | DecoderArchitecture {
  return side === 'encoder' ? encoderFor(modelType) : decoderFor(modelType);
}

function readConfig(side: Side, json: JsonObject, change: object): BaseConfig {
  if (change instanceof BaseConfig) return change;
  const modelType = json['model_type'];
  if (typeof modelType !== 'string')
    throw new ConfigError('INVALID_CONFIG', `config ${side}.model_type: expected a string, got ${show(modelType)}`);
  if (side === 'encoder') {
    for (const key of ['is_decoder', 'add_cross_attention']) if (json[key] === true) json[key] = false;
  }
  return architectureOf(side, modelType).config.withOptions(json, change);
}

function below(tensors: ReadonlyMap<string, TensorSource>, prefix: string): Map<string, TensorSource> {
  const inside = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(inside.map(([name, source]) => [name.slice(prefix.length), source]));
}

const hasPrefix = (tensors: ReadonlyMap<string, TensorSource>, prefix: string): boolean =>
  [...tensors.keys()].some((name) => name.startsWith(prefix));

/** An encoder is the bare model: a head beside it is left where it is. */
function bareNames({ basePrefix }: EncoderArchitecture | DecoderArchitecture, tensors: Map<string, TensorSource>) {
  return hasPrefix(tensors, basePrefix) ? below(tensors, basePrefix) : tensors;
}

/** A decoder is the causal language model: a bare one gets the prefix it has in there. */
function headedNames({ basePrefix, stem }: DecoderArchitecture, tensors: Map<string, TensorSource>) {
  const named = hasPrefix(tensors, basePrefix)
    ? new Map(tensors)
    : new Map([...tensors].map(([name, source]) => [basePrefix + name, source]));
  // Sequence-to-sequence models keep one table for both halves. transformers would draw the decoder's at random.
  const [shared, table] = [`${basePrefix}shared.weight`, `${stem ?? basePrefix}embed_tokens.weight`];
  if (named.has(shared) && !named.has(table)) named.set(table, named.get(shared)!);
  return named;
}
