import { ConfigError } from '../errors.js';
import { isObject, shown, tokenId, type JsonObject } from './json-shape.js';
import type { Companions } from './vocabulary.js';

/** One entry of `added_tokens` in tokenizer.json. */
export interface AddedTokenEntry {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

const NAMED = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;
const LISTED = ['additional_special_tokens', 'extra_special_tokens'] as const;
const MAX_ADDED = 65_536;

interface Wanted {
  readonly content: string;
  readonly flags: JsonObject;
  readonly special: boolean | undefined;
  readonly id?: number;
}

/**
 * The added tokens of all sources in transformers' order: tokenizer.json itself, added_tokens_decoder and added_tokens.json by
 * id, then the special tokens named in the configuration. A token that has no id yet gets the next free one.
 */
export function addedTokenEntries(
  listed: unknown,
  companions: Companions,
  vocabulary: ReadonlyMap<string, number>,
): AddedTokenEntry[] {
  const entries = new Map<string, AddedTokenEntry>();
  let next = 0;
  for (const id of vocabulary.values()) next = Math.max(next, id + 1);
  const wanted = [...fromList(listed), ...fromFiles(companions), ...named(companions)];
  if (wanted.length > MAX_ADDED)
    throw new ConfigError('TOKENIZER_ADDED_TOKENS', `expected at most ${MAX_ADDED} added tokens, got ${wanted.length}`);
  for (const token of wanted) {
    const known = entries.get(token.content);
    const id = known?.id ?? token.id ?? vocabulary.get(token.content) ?? next;
    next = Math.max(next, tokenId(id, shown(token.content)) + 1);
    const special = token.special ?? known?.special ?? false;
    entries.set(token.content, known ? { ...known, special: known.special || special } : entry(token, id, special));
  }
  return [...entries.values()].sort((a, b) => a.id - b.id);
}

function entry(token: Wanted, id: number, special: boolean): AddedTokenEntry {
  const flag = (key: string, fallback: boolean): boolean =>
    typeof token.flags[key] === 'boolean' ? token.flags[key] : fallback;
  return {
    id,
    content: token.content,
    single_word: flag('single_word', false),
    lstrip: flag('lstrip', false),
    rstrip: flag('rstrip', false),
    normalized: flag('normalized', !special),
    special,
  };
}

function fromList(listed: unknown): Wanted[] {
  if (listed === undefined || listed === null) return [];
  if (!Array.isArray(listed))
    throw new ConfigError('TOKENIZER_ADDED_TOKENS', `expected a list added_tokens, got ${shown(listed)}`);
  return listed.map((value: unknown) => described(value, isObject(value) ? value['id'] : undefined));
}

function fromFiles(companions: Companions): Wanted[] {
  const byId: Wanted[] = [];
  const decoder = companions.config['added_tokens_decoder'];
  if (isObject(decoder))
    for (const [id, value] of Object.entries(decoder)) byId.push(described(value, /^\d+$/.test(id) ? Number(id) : id));
  for (const [content, id] of Object.entries(companions.addedTokens)) {
    if (content === '') throw badToken(content);
    byId.push({ content, flags: {}, special: undefined, id: tokenId(id, shown(content)) });
  }
  return byId.sort((a, b) => (a.id ?? 0) - (b.id ?? 0));
}

function described(value: unknown, id: unknown): Wanted {
  if (!isObject(value) || typeof value['content'] !== 'string' || value['content'] === '') throw badToken(value);
  const content = value['content'];
  return { content, flags: value, special: value['special'] === true, id: tokenId(id, shown(content)) };
}

/** The special tokens a folder names: tokenizer_config.json first, then special_tokens_map.json where the first is silent. */
function named(companions: Companions): Wanted[] {
  const merged: JsonObject = { ...companions.specialTokensMap, ...withoutNull(companions.config) };
  const values: unknown[] = NAMED.map((key) => merged[key]);
  for (const key of LISTED) {
    const list = merged[key];
    if (Array.isArray(list)) values.push(...(list as unknown[]));
    else if (isObject(list)) values.push(...Object.values(list));
  }
  return values.filter((value) => value !== undefined && value !== null && value !== '').map(namedToken);
}

function namedToken(value: unknown): Wanted {
  const content = tokenText(value);
  if (content === undefined) throw badToken(value);
  return { content, flags: isObject(value) ? value : {}, special: true };
}

/** The spelling of a token given as a string or as an AddedToken object. */
export function tokenText(value: unknown): string | undefined {
  const content = isObject(value) ? value['content'] : value;
  return typeof content === 'string' && content !== '' ? content : undefined;
}

function withoutNull(config: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
}

function badToken(value: unknown): ConfigError {
  return new ConfigError('TOKENIZER_ADDED_TOKENS', `expected an added token with content, got ${shown(value)}`);
}
