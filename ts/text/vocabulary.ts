import { ConfigError, UnsupportedError } from '../errors.js';
import { isObject, shown, tokenId, type JsonObject } from './json-shape.js';
import { addedTokenEntries, type AddedTokenEntry } from './special-tokens.js';

const MODEL_TYPES = ['BPE', 'WordPiece', 'Unigram', 'WordLevel'];

/** A tokenizer.json with every part present and of the right shape, and the companion files' tokens added. */
export interface CheckedTokenizer {
  readonly json: JsonObject;
  readonly modelType: string;
  readonly added: readonly AddedTokenEntry[];
  /** Token of each id, added tokens included; holes where an id has none. */
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Files that stand beside tokenizer.json and add to it. */
export interface Companions {
  readonly config: JsonObject;
  readonly specialTokensMap: JsonObject;
  readonly addedTokens: JsonObject;
}

export const NO_COMPANIONS: Companions = { config: {}, specialTokensMap: {}, addedTokens: {} };

/** Checks a tokenizer.json so far that nothing later can trip over its shape. */
export function checkTokenizer(source: JsonObject, companions: Companions): CheckedTokenizer {
  const model = source['model'];
  if (!isObject(model)) throw new ConfigError('TOKENIZER_MODEL', `expected an object model, got ${shown(model)}`);
  const modelType = typeOf(model);
  const ids = new Map<string, number>();
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of modelVocabulary(model, modelType)) {
    ids.set(token, id);
    tokens[id] = token;
  }
  if (modelType === 'BPE') checkMerges(model['merges']);
  if (modelType === 'Unigram') checkUnknown(model, tokens.length);
  const added = addedTokenEntries(source['added_tokens'], companions, ids);
  for (const token of added) {
    ids.set(token.content, token.id);
    tokens[token.id] = token.content;
  }
  const json: JsonObject = { added_tokens: added };
  for (const key of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder']) json[key] = part(source, key);
  json['model'] = { ...model, type: modelType, ...(modelType === 'BPE' && { merges: model['merges'] ?? [] }) };
  return { json, modelType, added, tokens, ids };
}

function part(source: JsonObject, key: string): JsonObject | null {
  const value = source[key] ?? null;
  if (value !== null && !isObject(value))
    throw new ConfigError('TOKENIZER_PART', `expected an object or null for ${key}, got ${shown(value)}`);
  return value;
}

/** Files of before tokenizers 0.8 have no model type: told by what the model holds. */
function typeOf(model: JsonObject): string {
  const type = model['type'];
  if (typeof type === 'string') {
    if (MODEL_TYPES.includes(type)) return type;
    throw new UnsupportedError(
      'TOKENIZER_MODEL_TYPE',
      `expected a model type among ${MODEL_TYPES.join(', ')}, got ${shown(type)}`,
    );
  }
  if (type !== undefined) throw new ConfigError('TOKENIZER_MODEL', `expected a string model.type, got ${shown(type)}`);
  if (Array.isArray(model['vocab'])) return 'Unigram';
  if (model['merges'] !== undefined) return 'BPE';
  return model['continuing_subword_prefix'] !== undefined ? 'WordPiece' : 'WordLevel';
}

function* modelVocabulary(model: JsonObject, type: string): Generator<[string, number]> {
  const vocab = model['vocab'];
  if (type === 'Unigram') {
    if (!Array.isArray(vocab) || vocab.length === 0) throw badVocabulary('a non-empty list', vocab);
    for (const [id, entry] of (vocab as unknown[]).entries()) {
      const [token, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
      if (typeof token !== 'string' || typeof score !== 'number') throw badVocabulary('[token, score] pairs', entry);
      yield [token, tokenId(id, 'a vocabulary entry')];
    }
    return;
  }
  if (!isObject(vocab)) throw badVocabulary('an object', vocab);
  for (const [token, id] of Object.entries(vocab)) yield [token, tokenId(id, shown(token))];
}

function badVocabulary(expected: string, got: unknown): ConfigError {
  return new ConfigError('TOKENIZER_VOCAB', `expected ${expected} as model.vocab, got ${shown(got)}`);
}

function checkMerges(merges: unknown): void {
  if (merges === undefined) return;
  const good = (merge: unknown): boolean =>
    typeof merge === 'string'
      ? merge.includes(' ')
      : Array.isArray(merge) && merge.length === 2 && merge.every((side) => typeof side === 'string');
  if (!Array.isArray(merges))
    throw new ConfigError('TOKENIZER_MERGES', `expected a list model.merges, got ${shown(merges)}`);
  const wrong = merges.findIndex((merge) => !good(merge) || typeof merge !== typeof merges[0]);
  if (wrong >= 0)
    throw new ConfigError('TOKENIZER_MERGES', `expected pairs in model.merges, got ${shown(merges[wrong])}`);
}

function checkUnknown(model: JsonObject, size: number): void {
  const id = model['unk_id'] ?? null;
  if (id === null) return;
  if (tokenId(id, 'model.unk_id') >= size)
    throw new ConfigError('TOKENIZER_TOKEN_ID', `expected model.unk_id below ${size}, got ${shown(id)}`);
}
