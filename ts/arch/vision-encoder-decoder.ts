/** The composite: its config, and the model spec from a config and a checkpoint's tensors. */
import { ConfigError } from '../errors';
import { resolveSource, type ResolveOptions } from '../files/hub';
import { openRepository } from '../files/repository';
import { cloneJson } from '../json';
import { toSnakeCase } from '../names';
import type { TensorSource, TensorTable } from '../files/tensor-table';
import { distributionOf } from '../spec/init';
import type { Linear, ModelSource, ModelSpec } from '../spec/model-spec';
import { validateModelSpec } from '../spec/validate';
import { Weights, type Invent, type Tie } from '../spec/weights';
import type { DecoderArchitecture, EncoderArchitecture } from './architecture';
import {
  optionsToJson,
  requireObject,
  show,
  tokenId,
  tokenIds,
  type BaseConfig,
  type JsonObject,
} from './config-class';
import { decoderFor, decoders, encoderFor, encoders } from './registry';

export const COMPOSITE_MODEL_TYPE = 'vision-encoder-decoder';
const TOKEN_FIELDS = {
  decoderStartTokenId: tokenId(),
  padTokenId: tokenId(),
  bosTokenId: tokenId(),
  eosTokenId: tokenIds(),
};
const EXTRA = [...Object.keys(TOKEN_FIELDS), 'tieWordEmbeddings', 'vocabSize', 'maxLength', 'architectures', 'dtype'];

export class VisionEncoderDecoderConfig {
  readonly modelType = COMPOSITE_MODEL_TYPE;
  readonly encoder: BaseConfig;
  readonly decoder: BaseConfig;
  readonly decoderStartTokenId: number | null;
  readonly padTokenId: number | null;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | readonly number[] | null;
  readonly #json: JsonObject;

  private constructor(json: JsonObject) {
    if (json['model_type'] !== undefined && json['model_type'] !== COMPOSITE_MODEL_TYPE) {
      throw new ConfigError(
        'INVALID_CONFIG',
        `config model_type: expected "${COMPOSITE_MODEL_TYPE}", got ${show(json['model_type'])}`,
      );
    }
    this.encoder = readPart(json, 'encoder', encoderFor);
    this.decoder = readPart(json, 'decoder', decoderFor);
    this.decoderStartTokenId = readToken(json, 'decoderStartTokenId');
    this.padTokenId = readToken(json, 'padTokenId');
    this.bosTokenId = readToken(json, 'bosTokenId');
    this.eosTokenId = readToken(json, 'eosTokenId');
    this.#json = json;
  }

  /** From the object in config.json. Keys a sub-config lacks take the defaults of its class. */
  static fromJSON(json: object): VisionEncoderDecoderConfig {
    return new VisionEncoderDecoderConfig(cloneJson(requireObject(json, COMPOSITE_MODEL_TYPE)));
  }

  /** From the config.json of a folder or Hub id. */
  static async fromPretrained(
    source: string,
    options: Omit<ResolveOptions, 'files'> = {},
  ): Promise<VisionEncoderDecoderConfig> {
    const repository = await openRepository(await resolveSource(source, { ...options, files: 'config' }));
    return VisionEncoderDecoderConfig.fromJSON(await repository.readJson('config.json', { keepFloats: true }));
  }

  /** From two configs; the decoder's copy becomes a decoder with cross-attention. `extra` lands at the top level. */
  static fromEncoderDecoderConfigs(
    encoder: BaseConfig,
    decoder: BaseConfig,
    extra: object = {},
  ): VisionEncoderDecoderConfig {
    return new VisionEncoderDecoderConfig({
      model_type: COMPOSITE_MODEL_TYPE,
      is_encoder_decoder: true,
      tie_word_embeddings: false,
      ...optionsToJson(extra, EXTRA, `${COMPOSITE_MODEL_TYPE} config`),
      encoder: encoder.toJSON(),
      decoder: Object.assign(decoder.toJSON(), { is_decoder: true, add_cross_attention: true }),
    });
  }

  /** The snake_case object, unknown keys included. */
  toJSON(): JsonObject {
    return cloneJson(this.#json);
  }
}

function readPart(
  json: JsonObject,
  key: 'encoder' | 'decoder',
  find: (modelType: string) => EncoderArchitecture | DecoderArchitecture,
): BaseConfig {
  const part = requireObject(json[key], key);
  const modelType = part['model_type'];
  if (typeof modelType === 'string') return find(modelType).config.fromJSON(part);
  throw new ConfigError('INVALID_CONFIG', `config ${key}.model_type: expected a string, got ${show(modelType)}`);
}

function readToken<K extends keyof typeof TOKEN_FIELDS>(
  json: JsonObject,
  name: K,
): (typeof TOKEN_FIELDS)[K]['fallback'] {
  const key = toSnakeCase(name);
  const value = json[key] ?? null;
  const expected = TOKEN_FIELDS[name].check(value);
  if (expected) throw new ConfigError('INVALID_CONFIG', `config ${key}: expected ${expected}, got ${show(value)}`);
  return value as (typeof TOKEN_FIELDS)[K]['fallback'];
}

export interface BuiltModel {
  spec: ModelSpec;
  source: ModelSource;
  /** Harmless tensors in the files that the model does not use. */
  unused: ReadonlyMap<string, TensorSource>;
  ties: readonly Tie[];
}

/** What becomes of tensors that the config asks for and no file holds. */
export type Missing = 'refuse' | 'create';

/**
 * Lowers a config and the tensors of its checkpoint to plain data. Every tensor is consumed or refused, but for the `spare`
 * ones, which are left out where nothing asks for them.
 */
export function buildModelSpec(
  config: VisionEncoderDecoderConfig,
  table: TensorTable,
  missing: Missing = 'refuse',
  spare: ReadonlySet<string> = new Set(),
): BuiltModel {
  const encoder = encoderFor(config.encoder.modelType);
  const decoder = decoderFor(config.decoder.modelType);
  const weights = new Weights(table, missing === 'create' ? inventor(config) : null);
  const spec: ModelSpec = {
    encoder: encoder.build(config.encoder, weights.scope('encoder.')),
    projection: buildProjection(config, weights),
    decoder: decoder.build(config.decoder, weights.scope('decoder.')),
  };
  weights.refuseLeftovers(
    (name) =>
      spare.has(name) || matches(name, 'encoder.', encoder.ignorable) || matches(name, 'decoder.', decoder.ignorable),
  );
  const source = weights.source();
  validateModelSpec(spec, source);
  const kept = weights.leftovers().filter((name) => !spare.has(name));
  const unused = new Map(kept.map((name) => [name, table.tensors.get(name)!]));
  return { spec, source, unused, ties: weights.ties() };
}

/** Each half by its own rules. enc_to_dec_proj takes the decoder's initializer_range, or 0.02 if it has no such key. */
function inventor(config: VisionEncoderDecoderConfig): Invent {
  const { initializerRange = 0.02 } = config.decoder as { initializerRange?: number };
  const halves = [
    ['encoder.', encoderFor(config.encoder.modelType).init(config.encoder)],
    ['decoder.', decoderFor(config.decoder.modelType).init(config.decoder)],
    ['', { std: initializerRange }],
  ] as const;
  return (name, role, shape) => {
    const [prefix, rules] = halves.find(([start]) => name.startsWith(start))!;
    return distributionOf(rules, name, name.slice(prefix.length), role, shape);
  };
}

/** enc_to_dec_proj exists when the widths differ and the decoder names no cross-attention width of its own. */
function buildProjection(config: VisionEncoderDecoderConfig, weights: Weights): Linear | null {
  const decoder = decoderFor(config.decoder.modelType);
  const encoderWidth = encoderFor(config.encoder.modelType).hiddenSize(config.encoder);
  const decoderWidth = decoder.hiddenSize(config.decoder);
  const crossWidth = decoder.crossHiddenSize(config.decoder);
  if (crossWidth !== null && crossWidth !== encoderWidth) {
    const expected = `the encoder's hidden size ${encoderWidth}`;
    throw new ConfigError(
      'INVALID_CONFIG',
      `config decoder.cross_attention_hidden_size: expected ${expected}, got ${crossWidth}`,
    );
  }
  if (crossWidth !== null || encoderWidth === decoderWidth) return null;
  return weights.scope('').linear('enc_to_dec_proj', encoderWidth, decoderWidth);
}

function matches(name: string, prefix: string, patterns: readonly RegExp[]): boolean {
  return name.startsWith(prefix) && patterns.some((pattern) => pattern.test(name.slice(prefix.length)));
}

/** The architectures that load, for messages and `ved info`. */
export const supported = { encoders: Object.keys(encoders), decoders: Object.keys(decoders) };
