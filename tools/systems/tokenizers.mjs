// Tokenizer files of published sizes with made-up vocabularies: every piece differs, merges and scores are consistent.
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** GPT-2's characters for the 256 bytes. */
function byteCharacters() {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** `count` tokens: specials, bytes, then pairs of earlier ones, each with its merge; `last` ends the list. */
function byteBpe(count, first, last = []) {
  const bytes = byteCharacters();
  const tokens = [...first, ...bytes];
  const merges = [];
  const letters = bytes.filter((character) => /[a-zA-Z0-9]/u.test(character));
  let pieces = letters;
  for (let at = 0; tokens.length < count - last.length; at++) {
    const left = pieces[Math.floor(at / letters.length) % pieces.length];
    const right = letters[at % letters.length];
    if (at > 0 && at % (pieces.length * letters.length) === 0) pieces = tokens.slice(-pieces.length * letters.length);
    const token = left + right;
    if (vocabularyHas(tokens, token)) continue;
    tokens.push(token);
    tokens.seen.add(token);
    merges.push([left, right]);
  }
  return { tokens: [...tokens, ...last], merges };
}

function vocabularyHas(tokens, token) {
  tokens.seen ??= new Set(tokens);
  return tokens.seen.has(token);
}

const write = (folder, name, value) =>
  writeFileSync(path.join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

const MARKS = {
  bos_token: '<s>',
  eos_token: '</s>',
  sep_token: '</s>',
  cls_token: '<s>',
  unk_token: '<unk>',
  pad_token: '<pad>',
  mask_token: '<mask>',
};

/** vocab.json and merges.txt, no tokenizer.json. */
function bpeFiles(folder, count, { first, last = [], config }) {
  const { tokens, merges } = byteBpe(count, first, last);
  write(folder, 'vocab.json', Object.fromEntries(tokens.map((token, id) => [token, id])));
  write(folder, 'merges.txt', `#version: 0.2\n${merges.map((pair) => `${pair.join(' ')}\n`).join('')}`);
  write(folder, 'tokenizer_config.json', config);
}

const varint = (value) => {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
};
const field = (number, bytes) => Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);

function piece(text, score, type) {
  const value = Buffer.alloc(4);
  value.writeFloatLE(score);
  return field(1, Buffer.concat([field(1, Buffer.from(text)), varint(2 * 8 + 5), value, varint(3 * 8), varint(type)]));
}

/** Made-up words: ▁ba, ▁bab, … */
function words(count) {
  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
  const list = ['▁', ...letters];
  for (let size = 2; list.length < count; size++)
    for (let n = 0; n < letters.length ** size && list.length < count; n++) {
      let word = '';
      for (let k = 0, rest = n; k < size; k++, rest = Math.floor(rest / 26)) word += letters[rest % 26];
      list.push(`▁${word}`);
    }
  return list;
}

/** sentencepiece.bpe.model of a unigram model that XLM-RoBERTa's layout turns into `count` tokens. */
function sentencePiece(folder, count, { added = [], processor }) {
  const list = words(count - added.length - 5);
  const pieces = [
    piece('<unk>', 0, 2),
    piece('<s>', 0, 3),
    piece('</s>', 0, 3),
    ...list.map((word, i) => piece(word, -5 - i / 1000, 1)),
  ];
  const trainer = field(2, Buffer.concat([varint(3 * 8), varint(1)]));
  writeFileSync(path.join(folder, 'sentencepiece.bpe.model'), Buffer.concat([...pieces, trainer]));
  write(folder, 'tokenizer_config.json', {
    tokenizer_class: 'XLMRobertaTokenizer',
    processor_class: processor,
    ...MARKS,
  });
  if (added.length === 0) return;
  write(folder, 'special_tokens_map.json', { ...MARKS, additional_special_tokens: added });
  write(folder, 'added_tokens.json', Object.fromEntries(added.map((token, i) => [token, count - added.length + i])));
}

function tokenizerJson(folder, count) {
  const special = ['<s>', '<pad>', '</s>', '<unk>', '[START_REF]'];
  const { tokens, merges } = byteBpe(count, special);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  write(folder, 'tokenizer.json', {
    version: '1.0',
    added_tokens: special.map((content, id) => ({ id, content, ...flags })),
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  });
  write(folder, 'tokenizer_config.json', {
    tokenizer_class: 'NougatTokenizer',
    bos_token: '<s>',
    eos_token: '</s>',
    unk_token: '<unk>',
    pad_token: '<pad>',
  });
}

function characters(folder, count) {
  const first = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const list = Array.from({ length: count - first.length }, (_, i) =>
    String.fromCodePoint((i < 190 ? 0x3041 : 0x4e00 - 190) + i),
  );
  write(folder, 'vocab.txt', [...first, ...list, ''].join('\n'));
  write(folder, 'tokenizer_config.json', {
    tokenizer_class: 'BertJapaneseTokenizer',
    word_tokenizer_type: 'mecab',
    subword_tokenizer_type: 'character',
    do_lower_case: false,
  });
  write(folder, 'special_tokens_map.json', {
    unk_token: '[UNK]',
    sep_token: '[SEP]',
    pad_token: '[PAD]',
    cls_token: '[CLS]',
    mask_token: '[MASK]',
  });
}

function wordPieces(folder, count) {
  const first = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const list = words(count).map((word, i) => (i % 3 === 2 ? `##${word.slice(1)}x` : word.slice(1) || '-'));
  const unique = [...new Set([...first, ...list])];
  for (let i = 0; unique.length < count; i++) unique.push(`##${i}z`);
  write(folder, 'vocab.txt', `${unique.slice(0, count).join('\n')}\n`);
  write(folder, 'tokenizer_config.json', { tokenizer_class: 'BertTokenizer', do_lower_case: true });
}

const KINDS = {
  roberta: (folder, count) =>
    bpeFiles(folder, count, {
      first: ['<s>', '<pad>', '</s>', '<unk>'],
      last: ['<mask>'],
      config: { tokenizer_class: 'RobertaTokenizer', ...MARKS },
    }),
  gpt2: (folder, count) =>
    bpeFiles(folder, count, { first: [], last: ['<|endoftext|>'], config: { tokenizer_class: 'GPT2Tokenizer' } }),
  xlmRoberta: (folder, count, added) =>
    sentencePiece(folder, count, { added, processor: added.length > 0 ? 'DonutProcessor' : 'TrOCRProcessor' }),
  nougat: tokenizerJson,
  japanese: characters,
  bert: wordPieces,
};

/** Writes the files of a tokenizer of `count` tokens, added ones included. */
export function writeTokenizer(folder, kind, count, added = []) {
  KINDS[kind](folder, count, added);
}
