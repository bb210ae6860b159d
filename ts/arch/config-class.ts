/** Config classes from a table of fields: defaults, checks, and the mapping between camelCase and the files' snake_case. */
import { ConfigError, OptionError, UnsupportedError } from '../errors';
import { cloneJson, markFloat } from '../json';
import { nearest, toSnakeCase } from '../names';

export type JsonObject = Record<string, unknown>;

/** One key an architecture knows. `check` returns what it expected when the value is not legal. */
export interface Field<T> {
  readonly fallback: T;
  readonly check: (value: unknown) => string | null;
  /** A float in Python, also where its value is whole. */
  readonly float?: boolean;
  /** Left out of JSON unless given. */
  readonly hidden?: boolean;
}

export type Fields = Record<string, Field<unknown>>;
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export const MAX_SIZE = 2 ** 24;
export const MAX_LAYERS = 1000;

function whole(value: unknown, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high;
}

function field<T>(fallback: T, expected: string, legal: (value: unknown) => boolean): Field<T> {
  return { fallback, check: (value) => (legal(value) ? null : expected) };
}

/** A size of the model: a positive whole number. */
export const size = (fallback: number, high = MAX_SIZE) =>
  field(fallback, `a whole number from 1 to ${high}`, (v) => whole(v, 1, high));
export const optionalSize = (fallback: number | null = null): Field<number | null> =>
  field(fallback, `null or a whole number from 1 to ${MAX_SIZE}`, (v) => v === null || whole(v, 1, MAX_SIZE));
export const layers = (fallback: number) => size(fallback, MAX_LAYERS);
/** One side, or [height, width]. */
export const sides = (fallback: number): Field<number | readonly [number, number]> =>
  field(fallback as number | readonly [number, number], `a whole number from 1 to 65536 or two of them`, (v) =>
    Array.isArray(v) ? v.length === 2 && v.every((side) => whole(side, 1, 65536)) : whole(v, 1, 65536),
  );
/** Always [height, width]. */
export const bothSides = (fallback: readonly [number, number], low = 1): Field<readonly [number, number]> =>
  field(fallback, `two whole numbers from ${low} to 65536`, (v) =>
    Array.isArray(v) ? v.length === 2 && v.every((side) => whole(side, low, 65536)) : false,
  );
/** One side, for height and width alike. */
export const side = (fallback: number) => size(fallback, 65536);
/** How many of something; may be none. */
export const count = (fallback: number) =>
  field(fallback, `a whole number from 0 to ${MAX_SIZE}`, (v) => whole(v, 0, MAX_SIZE));
const isList = (v: unknown, low: number) =>
  Array.isArray(v) && v.length >= 1 && v.length <= 16 && v.every((item) => whole(item, low, MAX_SIZE));
/** Something to count per stage; may be none. */
export const counts = (fallback: readonly number[]): Field<readonly number[]> =>
  field(fallback, `a list of 1 to 16 whole numbers from 0 to ${MAX_SIZE}`, (v) => isList(v, 0));
/** One size per stage. */
export const sizes = (fallback: readonly number[]): Field<readonly number[]> =>
  field(fallback, `a list of 1 to 16 whole numbers from 1 to ${MAX_SIZE}`, (v) => isList(v, 1));
/** A number that Python may hold as an int: written as it is. */
export const number = (fallback: number, low: number, high: number): Field<number> =>
  field(fallback, `a number from ${low} to ${high}`, (v) => typeof v === 'number' && v >= low && v <= high);
/** A float. */
export const between = (fallback: number, low: number, high: number): Field<number> => ({
  ...field(fallback, `a number from ${low} to ${high}`, (v) => typeof v === 'number' && v >= low && v <= high),
  float: true,
});
/** A float, or null. */
export const optionalNumber = (): Field<number | null> => ({
  ...field(
    null as number | null,
    'null or a number',
    (v) => v === null || (typeof v === 'number' && Number.isFinite(v)),
  ),
  float: true,
});
export const flag = (fallback: boolean) => field(fallback, 'true or false', (v) => typeof v === 'boolean');
/** One answer per stage. */
export const flags = (fallback: readonly boolean[]): Field<readonly boolean[]> =>
  field(fallback, 'a list of 1 to 16 of true and false', (v) =>
    Array.isArray(v) ? v.length >= 1 && v.length <= 16 && v.every((item) => typeof item === 'boolean') : false,
  );
export const text = (fallback: string) => field(fallback, 'a string', (v) => typeof v === 'string');
export const optionalText = (): Field<string | null> =>
  field(null as string | null, 'null or a string', (v) => v === null || typeof v === 'string');
/** Names that torch takes for submodules. */
export const texts = (fallback: readonly string[]): Field<readonly string[]> =>
  field(fallback, 'a list of 1 to 1000 different names without dots', (v) => {
    if (!Array.isArray(v) || v.length < 1 || v.length > MAX_LAYERS || new Set(v).size < v.length) return false;
    return v.every((item) => typeof item === 'string' && /^[^.]+$/.test(item));
  });
const isId = (v: unknown) => whole(v, -1, 2 ** 31 - 1);
export const tokenId = (fallback: number | null = null): Field<number | null> =>
  field(fallback, 'null or a token id', (v) => v === null || isId(v));
export const tokenIds = (fallback: number | null = null): Field<number | readonly number[] | null> =>
  field(fallback as number | readonly number[] | null, 'null, a token id or a list of token ids', (v) =>
    Array.isArray(v) ? v.every(isId) : v === null || isId(v),
  );
/** Known by name and kept as it is. */
export const anything = (): Field<unknown> => field(null as unknown, 'anything', () => true);
export const hidden = <T>(inner: Field<T>): Field<T> => ({ ...inner, hidden: true });

/** Keys every Hugging Face config has and this package may be asked to set. */
const COMMON = {
  isDecoder: hidden(flag(false)),
  addCrossAttention: hidden(flag(false)),
  isEncoderDecoder: hidden(flag(false)),
  tieWordEmbeddings: hidden(flag(true)),
  bosTokenId: hidden(tokenId()),
  eosTokenId: hidden(tokenIds()),
  padTokenId: hidden(tokenId()),
  decoderStartTokenId: hidden(tokenId()),
  id2label: hidden(anything()),
  label2id: hidden(anything()),
  architectures: hidden(anything()),
} satisfies Fields;
type Common = Values<typeof COMMON>;

/** Refuses a value that no class of transformers would compute here, or that this package does not. */
export function refuse(key: string, expected: string, got: unknown, reason: string): never {
  throw new UnsupportedError('UNSUPPORTED_CONFIG', `config ${key}: expected ${expected}, got ${show(got)}: ${reason}`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `value` if it is an object, else an error that names `key`. */
export function requireObject(value: unknown, key: string): JsonObject {
  if (isObject(value)) return value;
  throw new ConfigError('INVALID_CONFIG', `config ${key}: expected an object, got ${show(value)}`);
}

export function show(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  return json === undefined ? String(value) : json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

/** camelCase options to snake_case JSON; an unknown name is refused with the nearest known one. */
export function optionsToJson(options: object, known: readonly string[], what: string): JsonObject {
  const json: JsonObject = {};
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      const hint = nearest(name, known);
      const end = hint ? `; did you mean '${hint}'?` : '';
      throw new OptionError('UNKNOWN_OPTION', `${what}: expected a known option, got '${name}'${end}`);
    }
    if (value !== undefined) json[toSnakeCase(name)] = cloneJson(value);
  }
  return json;
}

/** What every config object can do. */
export abstract class BaseConfig {
  abstract readonly modelType: string;
  readonly #json: JsonObject;

  protected constructor(json: JsonObject) {
    this.#json = json;
  }

  /** {@link toJSON} with the class's default for every key that has one and is missing. */
  abstract withDefaults(): JsonObject;

  /** The snake_case object this config was made from, unknown keys included. */
  toJSON(): JsonObject {
    return cloneJson(this.#json);
  }
}

export type ConfigOf<F extends Fields, A extends string> = BaseConfig &
  Common &
  Values<F> & { readonly [K in A]: number };
export interface ConfigClass<F extends Fields, A extends string = never> {
  new (options?: Partial<Common & Values<F> & { readonly [K in A]: number }>): ConfigOf<F, A>;
  readonly modelType: string;
  fromJSON(json: object): ConfigOf<F, A>;
  /** The config of a file with some keys set to other values; names are checked as in the constructor. */
  withOptions(json: object, options: object): ConfigOf<F, A>;
}

/**
 * A config class. `aliases` maps common names to the architecture's own (`hiddenSize` → `nEmbd`), both for reading and for
 * setting; as in Hugging Face's classes an alias given beside the own name wins.
 */
export function configClass<F extends Fields, A extends string = never>(
  modelType: string,
  own: F,
  aliases: Readonly<Record<A, string & keyof F>> = {} as Record<A, string & keyof F>,
): ConfigClass<F, A> {
  const fields: Fields = { ...COMMON, ...own };
  const aliasList = Object.entries<string>(aliases);
  const known = [...Object.keys(fields), ...aliasList.map(([alias]) => alias)];
  const fromOptions = (options: object): JsonObject => {
    const given = foldAliases(optionsToJson(options, known, `${modelType} config`), aliasList);
    return withFloats({ model_type: modelType, ...defaults(fields), ...given }, fields);
  };
  class Config extends BaseConfig {
    static readonly modelType = modelType;
    readonly modelType = modelType;

    constructor(options: object = {}, json: JsonObject = fromOptions(options)) {
      super(json);
      const values = readFields(fields, foldAliases(json, aliasList), modelType);
      for (const [alias, name] of aliasList) values[alias] = values[name];
      Object.assign(this, values);
    }

    withDefaults(): JsonObject {
      return { ...defaults(fields), ...this.toJSON() };
    }

    static fromJSON(json: object): Config {
      return new Config({}, cloneJson(requireObject(json, modelType)));
    }

    static withOptions(json: object, options: object): Config {
      const given = foldAliases(optionsToJson(options, known, `${modelType} config`), aliasList);
      const merged = cloneJson(requireObject(json, modelType));
      // An alias in the file would win over the own name that has just been given.
      for (const [alias, name] of aliasList) if (toSnakeCase(name) in given) delete merged[toSnakeCase(alias)];
      Object.assign(merged, given);
      for (const [name, { float }] of Object.entries(fields)) {
        if (float && toSnakeCase(name) in given) markFloat(merged, toSnakeCase(name));
      }
      return new Config({}, merged);
    }
  }
  return Config as unknown as ConfigClass<F, A>;
}

function defaults(fields: Fields): JsonObject {
  const shown = Object.entries(fields).filter(([, { hidden: quiet }]) => !quiet);
  return Object.fromEntries(shown.map(([name, { fallback }]) => [toSnakeCase(name), fallback]));
}

function withFloats(json: JsonObject, fields: Fields): JsonObject {
  for (const [name, { float }] of Object.entries(fields)) if (float) markFloat(json, toSnakeCase(name));
  return json;
}

function foldAliases(json: JsonObject, aliases: [alias: string, name: string][]): JsonObject {
  const folded = { ...json };
  for (const [alias, name] of aliases) {
    const key = toSnakeCase(alias);
    if (Object.hasOwn(folded, key)) folded[toSnakeCase(name)] = folded[key];
    delete folded[key];
  }
  return folded;
}

function readFields(fields: Fields, json: JsonObject, what: string): JsonObject {
  const values: JsonObject = {};
  for (const [name, { fallback, check }] of Object.entries(fields)) {
    const key = toSnakeCase(name);
    const value = Object.hasOwn(json, key) ? json[key] : fallback;
    const expected = check(value);
    if (expected)
      throw new ConfigError('INVALID_CONFIG', `${what} config ${key}: expected ${expected}, got ${show(value)}`);
    values[name] = value;
  }
  return values;
}
