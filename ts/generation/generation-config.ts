/** Defaults for generate(), read from and written to Hugging Face's generation_config.json. */
import { ConfigError } from '../errors.js';
import { cloneJson, floatKeys, markFloat } from '../json.js';
import { toCamelCase, toSnakeCase } from '../names.js';
import { CONFIG_OPTION_NAMES, isConfigOption, specOf } from './option-specs.js';

/** All options of a generation config; absent: not set. Meaning and ranges: docs/generation.md. */
export interface GenerationValues {
  maxLength?: number | null;
  maxNewTokens?: number | null;
  minLength?: number | null;
  minNewTokens?: number | null;
  earlyStopping?: boolean | 'never' | null;
  maxTime?: number | null;
  stopStrings?: string | string[] | null;
  doSample?: boolean | null;
  numBeams?: number | null;
  numReturnSequences?: number | null;
  temperature?: number | null;
  topK?: number | null;
  topP?: number | null;
  minP?: number | null;
  topH?: number | null;
  typicalP?: number | null;
  epsilonCutoff?: number | null;
  etaCutoff?: number | null;
  repetitionPenalty?: number | null;
  lengthPenalty?: number | null;
  noRepeatNgramSize?: number | null;
  badWordsIds?: number[][] | null;
  sequenceBias?: [number[], number][] | null;
  renormalizeLogits?: boolean | null;
  removeInvalidValues?: boolean | null;
  forcedBosTokenId?: number | null;
  forcedEosTokenId?: number | number[] | null;
  exponentialDecayLengthPenalty?: [number, number] | null;
  suppressTokens?: number[] | null;
  beginSuppressTokens?: number[] | null;
  padTokenId?: number | null;
  bosTokenId?: number | null;
  eosTokenId?: number | number[] | null;
  decoderStartTokenId?: number | number[] | null;
  outputScores?: boolean | null;
  outputAttentions?: boolean | null;
  outputHiddenStates?: boolean | null;
  outputLogits?: boolean | null;
  returnDictInGenerate?: boolean | null;
  encoderRepetitionPenalty?: number | null;
  encoderNoRepeatNgramSize?: number | null;
  guidanceScale?: number | null;
  watermarkingConfig?: unknown;
  tokenHealing?: boolean | null;
  forceWordsIds?: unknown;
  constraints?: unknown;
  penaltyAlpha?: number | null;
  dolaLayers?: unknown;
  diversityPenalty?: number | null;
  numBeamGroups?: number | null;
  lowMemory?: boolean | null;
  promptLookupNumTokens?: number | null;
  assistantEarlyExit?: number | null;
  assistantEnsembleWeight?: number | null;
  isAssistant?: boolean | null;
  useMtp?: boolean | null;
  numAssistantTokens?: number | null;
  numAssistantTokensSchedule?: string | null;
  assistantConfidenceThreshold?: number | null;
  maxMatchingNgramSize?: number | null;
  assistantLookbehind?: number | null;
  targetLookbehind?: number | null;
  speculationType?: string | null;
  useCache?: boolean | null;
  cacheImplementation?: string | null;
  cacheConfig?: unknown;
  maxCacheLen?: number | null;
  prefillChunkSize?: number | null;
  compileConfig?: unknown;
  disableCompile?: boolean | null;
  continuousBatchingConfig?: unknown;
}

type JsonObject = Record<string, unknown>;

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging
export class GenerationConfig {
  /** Keys of the file that this package does not know, and nulls: kept for toJSON(). */
  readonly #rest: JsonObject = {};
  readonly #floats: readonly string[];

  /** `floats`: keys of the file whose whole numbers are floats in Python. */
  constructor(values: GenerationValues = {}, rest: JsonObject = {}, floats: readonly string[] = []) {
    Object.assign(this, values);
    Object.assign(this.#rest, rest);
    this.#floats = floats;
  }

  /** From the object in a generation_config.json (snake_case). */
  static fromJSON(json: JsonObject): GenerationConfig {
    const values: JsonObject = {};
    const rest: JsonObject = {};
    for (const [key, value] of Object.entries(json)) {
      const name = optionOfKey(key);
      if (name === undefined || value === null) rest[key] = value;
      else values[name] = value;
    }
    return new GenerationConfig(values as GenerationValues, rest, floatKeys(json));
  }

  /** The object for a generation_config.json: snake_case, unknown keys as they were. */
  toJSON(): JsonObject {
    const json: JsonObject = { ...this.#rest };
    for (const [name, value] of Object.entries(this)) {
      if (value !== undefined) json[toSnakeCase(name)] = value;
    }
    const copy = cloneJson(json);
    for (const key of this.#floats) markFloat(copy, key);
    for (const name of CONFIG_OPTION_NAMES) markOption(copy, toSnakeCase(name), specOf(name).type.float);
    return copy;
  }
}

/** transformers checks with isinstance(…, float), so that a temperature of 1 has to be written 1.0. */
function markOption(json: JsonObject, key: string, float: true | 'last' | undefined): void {
  if (float === true) markFloat(json, key);
  if (float === 'last') markLast(json[key]);
}

function markLast(value: unknown): void {
  if (!Array.isArray(value) || value.length === 0) return;
  if (typeof value.at(-1) === 'number') markFloat(value, String(value.length - 1));
  else value.forEach(markLast);
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type
export interface GenerationConfig extends GenerationValues {}

function optionOfKey(key: string): string | undefined {
  const name = toCamelCase(key);
  return isConfigOption(name) && toSnakeCase(name) === key ? name : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A generation_config.json alone counts if there is one. Otherwise config.json does: its own keys, then what is still
 * unset from the first non-empty of `decoder`, `generator` and `text_config`.
 */
export function generationConfigFromFiles(generationConfigJson: unknown, configJson: unknown): GenerationConfig {
  if (generationConfigJson !== undefined) {
    if (!isObject(generationConfigJson)) {
      throw new ConfigError(
        'CONFIG_INVALID',
        `generation_config.json: expected an object, got ${kindOf(generationConfigJson)}`,
      );
    }
    return GenerationConfig.fromJSON(generationConfigJson);
  }
  if (!isObject(configJson)) {
    throw new ConfigError('CONFIG_INVALID', `config.json: expected an object, got ${kindOf(configJson)}`);
  }
  return fromModelConfig(configJson);
}

function fromModelConfig(config: JsonObject): GenerationConfig {
  const nested = ['decoder', 'generator', 'text_config']
    .map((key) => config[key])
    .find((value) => isObject(value) && Object.keys(value).length > 0) as JsonObject | undefined;
  const values: JsonObject = {};
  for (const name of CONFIG_OPTION_NAMES) {
    const key = toSnakeCase(name);
    const value = config[key] ?? nested?.[key];
    if (value !== undefined && value !== null) values[name] = value;
  }
  // The old spelling of forced_bos_token_id.
  if (config['force_bos_token_to_be_generated'] === true && config['bos_token_id'] !== undefined) {
    values['forcedBosTokenId'] = config['bos_token_id'];
  }
  return new GenerationConfig(values as GenerationValues);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}
