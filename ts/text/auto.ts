import { ConfigError } from '../errors.js';
import { resolveSource, type ResolveOptions } from '../files/hub.js';
import { openRepository, type Repository } from '../files/repository.js';
import type { JsonObject } from './json-shape.js';
import { applyLayout, familyOf } from './layouts.js';
import { legacyTokenizer } from './legacy.js';
import { createTokenizer, type Tokenizer } from './tokenizer.js';
import type { Companions } from './vocabulary.js';

export type AutoTokenizerOptions = Omit<ResolveOptions, 'files'>;

/** Loads the tokenizer of a checkpoint. */
export class AutoTokenizer {
  /** `source`: a folder or a Hub id. Only tokenizer files are needed in it. */
  static async fromPretrained(source: string, options: AutoTokenizerOptions = {}): Promise<Tokenizer> {
    const folder = await openRepository(await resolveSource(source, { ...options, files: 'tokenizer' }));
    const companions = await readCompanions(folder);
    if (await folder.exists('tokenizer.json')) {
      const json = await folder.readJson('tokenizer.json', { allowProtoKey: true });
      // transformers 5 rebuilds the layout of the classes it knows in code, whatever tokenizer.json says.
      const family = familyOf(companions.config['tokenizer_class']);
      return createTokenizer(applyLayout(json, family, companions.config), companions);
    }
    const legacy = await legacyTokenizer(folder, companions.config);
    if (legacy)
      return createTokenizer(legacy.json, { ...companions, config: { ...legacy.defaults, ...companions.config } });
    throw new ConfigError(
      'TOKENIZER_NOT_FOUND',
      `expected tokenizer.json, vocab.json with merges.txt, vocab.txt or a sentencepiece model in ${folder.folder}, got none`,
    );
  }
}

async function readCompanions(folder: Repository): Promise<Companions> {
  const read = async (name: string): Promise<JsonObject> =>
    (await folder.exists(name)) ? folder.readJson(name, { allowProtoKey: true, maxBytes: 16 * 1024 * 1024 }) : {};
  return {
    config: await read('tokenizer_config.json'),
    specialTokensMap: await read('special_tokens_map.json'),
    addedTokens: await read('added_tokens.json'),
  };
}
