import { readFile, stat } from 'node:fs/promises';
import { ConfigError, UnsupportedError } from '../errors.js';
import type { Repository } from '../files/repository.js';
import type { JsonObject } from './json-shape.js';
import { applyLayout, familyOf, special, XLM_ROBERTA_PIECES, type Family } from './layouts.js';
import { parseSentencePiece } from './sentencepiece.js';

const MAX_MODEL_BYTES = 64 * 1024 * 1024;
const SENTENCEPIECE_NAMES = ['sentencepiece.bpe.model', 'spiece.model', 'tokenizer.model'];

/** What tokenizer.json would hold, and the special tokens a folder of this kind has without saying so. */
export interface LegacyTokenizer {
  readonly json: JsonObject;
  readonly defaults: JsonObject;
}

/** The tokenizer of a folder without tokenizer.json: by `tokenizer_class`, else by the names of its files. */
export async function legacyTokenizer(folder: Repository, config: JsonObject): Promise<LegacyTokenizer | undefined> {
  const named = familyOf(config['tokenizer_class']);
  const wants = (model: Family['model']): boolean => named === undefined || named.model === model;
  if (wants('BPE') && (await folder.exists('vocab.json')) && (await folder.exists('merges.txt'))) {
    const model = await readBpe(folder);
    return assemble(named ?? guessBpe(model['vocab'] as JsonObject), { model }, config);
  }
  if (wants('WordPiece') && (await folder.exists('vocab.txt'))) {
    const family = named ?? familyOf('BertTokenizer')!;
    return assemble(
      family,
      { model: await readWordPiece(folder, special(config, family.specials, 'unk_token')) },
      config,
    );
  }
  for (const name of wants('Unigram') ? SENTENCEPIECE_NAMES : []) {
    if (!(await folder.exists(name))) continue;
    const family = named ?? familyOf('XLMRobertaTokenizer')!;
    return assemble(family, await readUnigram(folder, name, config, family), config);
  }
  return undefined;
}

function assemble(family: Family, parts: JsonObject, config: JsonObject): LegacyTokenizer {
  return { json: applyLayout({ added_tokens: [], ...parts }, family, config), defaults: family.specials };
}

/** RoBERTa and GPT-2 share their file names; only GPT-2's vocabulary lacks <s>. */
function guessBpe(vocab: JsonObject): Family {
  return familyOf(
    Object.hasOwn(vocab, '<|endoftext|>') && !Object.hasOwn(vocab, '<s>') ? 'GPT2Tokenizer' : 'RobertaTokenizer',
  )!;
}

async function readBpe(folder: Repository): Promise<JsonObject> {
  const vocab = await folder.readJson('vocab.json', { allowProtoKey: true });
  const merges = parseMerges(await folder.readText('merges.txt'));
  const affixes = { unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '', fuse_unk: false };
  return { type: 'BPE', ...affixes, vocab, merges };
}

function parseMerges(text: string): [string, string][] {
  const merges: [string, string][] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === '' || line.startsWith('#version')) continue;
    const [a, b, ...rest] = line.split(' ');
    if (a === undefined || a === '' || b === undefined || b === '' || rest.length > 0) {
      const got = JSON.stringify(line.slice(0, 100));
      throw new ConfigError('TOKENIZER_MERGES', `expected two pieces in line ${i + 1} of merges.txt, got ${got}`);
    }
    merges.push([a, b]);
  }
  return merges;
}

async function readWordPiece(folder: Repository, unk: string): Promise<JsonObject> {
  const lines = (await folder.readText('vocab.txt')).split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0)
    throw new ConfigError('TOKENIZER_VOCAB', 'expected a token per line in vocab.txt, got an empty file');
  const vocab = Object.fromEntries(lines.map((line, id) => [line.replace(/\r$/, ''), id]));
  return { type: 'WordPiece', unk_token: unk, continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab };
}

async function readUnigram(folder: Repository, name: string, config: JsonObject, family: Family): Promise<JsonObject> {
  const path = await folder.resolve(name);
  const { size } = await stat(path);
  if (size > MAX_MODEL_BYTES) {
    throw new ConfigError('SENTENCEPIECE_INVALID', `expected ${name} of at most ${MAX_MODEL_BYTES} bytes, got ${size}`);
  }
  const proto = parseSentencePiece(await readFile(path));
  if (proto.modelType !== 1) {
    throw new UnsupportedError(
      'SENTENCEPIECE_TYPE',
      `expected a unigram model (1) in ${name}, got model type ${proto.modelType}`,
    );
  }
  const layout = family.pieces ?? XLM_ROBERTA_PIECES;
  const of = (role: string): string => (role.endsWith('_token') ? special(config, family.specials, role) : role);
  const head = layout.head.map(([token, score]) => [of(token), score] as const);
  const body = proto.pieces.slice(layout.from).map((p) => [p.piece, p.score] as const);
  const tail = [...layout.tail, of('mask_token')].map((token) => [token, 0] as const);
  const vocab = [...head, ...body, ...tail];
  const ids = new Map(vocab.map(([piece], id) => [piece, id]));
  const added = (content: string, isSpecial: boolean, lstrip = false): JsonObject => ({
    id: ids.get(content),
    content,
    special: isSpecial,
    normalized: false,
    lstrip,
  });
  const declared = proto.pieces.filter((p) => (p.type === 3 || p.type === 4) && ids.has(p.piece));
  return {
    model: { type: 'Unigram', unk_id: 3, vocab, byte_fallback: false },
    added_tokens: [
      ...declared.map((p) => added(p.piece, p.type === 3)),
      ...layout.tail.map((token) => added(token, true)),
      ...(layout.stripsBeforeMask ? [added(of('mask_token'), true, true)] : []),
    ],
    normalizer: proto.charsmap
      ? { type: 'Precompiled', precompiled_charsmap: Buffer.from(proto.charsmap).toString('base64') }
      : null,
  };
}
