import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { VedError } from '../../ts/errors.js';
import { AutoTokenizer } from '../../ts/text/auto.js';

type Files = Record<string, string | Uint8Array>;

/** Runs `use` with a folder that holds these files. */
async function inFolder<T>(files: Files, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'ved-text-'));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Loading, encoding or decoding must end in a named error, never in another one. */
async function refused(t: ExecutionContext, files: Files): Promise<void> {
  const error = await t.throwsAsync(
    inFolder(files, async (folder) => {
      const tokenizer = await AutoTokenizer.fromPretrained(folder);
      tokenizer.decode([0, 1]);
      tokenizer.encode('a b');
    }),
  );
  t.true(error instanceof VedError, `expected a VedError, got ${String(error)}`);
}

const model = { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [] };
const unigram = {
  type: 'Unigram',
  unk_id: 0,
  vocab: [
    ['<unk>', 0],
    ['a', -1],
  ],
};
const charsmap = (bytes: number[]): object => ({
  type: 'Precompiled',
  precompiled_charsmap: Buffer.from(bytes).toString('base64'),
});

const HOSTILE: Record<string, object> = {
  'no model': {},
  'a model that is a list': { model: [] },
  'an unknown model type': { model: { ...model, type: 'Tree' } },
  'a vocabulary that is a number': { model: { ...model, vocab: 7 } },
  'a negative id': { model: { ...model, vocab: { a: -1 } } },
  'a fractional id': { model: { ...model, vocab: { a: 0.5 } } },
  'a huge id': { model: { ...model, vocab: { a: 2 ** 40 } } },
  'merges that are an object': { model: { ...model, merges: {} } },
  'an added token without content': { model, added_tokens: [{ id: 2 }] },
  'an added token with a text id': { model, added_tokens: [{ id: 'x', content: 'x' }] },
  'unk_id outside the vocabulary': { model: { ...unigram, unk_id: 9 } },
  'unigram entries that are texts': { model: { ...unigram, vocab: ['a'] } },
  'an unknown decoder': { model, decoder: { type: 'Rot13' } },
  'a decoder that is a text': { model, decoder: 'ByteLevel' },
  'an unknown normaliser': { model, normalizer: { type: 'Rot13' } },
  'an empty charsmap': { model: unigram, normalizer: charsmap([1]) },
  'a charsmap larger than its bytes': { model: unigram, normalizer: charsmap([255, 255, 255, 255, 0, 0, 0, 0]) },
};

for (const [what, json] of Object.entries(HOSTILE)) {
  test(`tokenizer.json with ${what} is refused by name`, (t) => refused(t, { 'tokenizer.json': JSON.stringify(json) }));
}

test('an empty folder is refused by name', (t) => refused(t, {}));
test('an empty vocab.txt is refused by name', (t) => refused(t, { 'vocab.txt': '' }));
test('a broken merges.txt is refused by name', (t) =>
  refused(t, { 'vocab.json': '{"a":0}', 'merges.txt': '#version: 0.2\na b c\n' }));

const MODELS: Record<string, number[]> = {
  'no bytes': [],
  'a truncated number': [0x80],
  'a length beyond the end': [0x0a, 0x7f, 0x0a],
  'a huge length': [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  'an unknown wire type': [0x0b],
};
for (const [what, bytes] of Object.entries(MODELS)) {
  test(`a SentencePiece model with ${what} is refused by name`, (t) =>
    refused(t, { 'sentencepiece.bpe.model': Uint8Array.from(bytes) }));
}

test('a charsmap whose trie leads outside itself is harmless', async (t) => {
  const trie = [4, 0, 0, 0, 255, 255, 255, 255, 65, 0];
  const json = { model: unigram, normalizer: charsmap(trie) };
  const ids = await inFolder({ 'tokenizer.json': JSON.stringify(json) }, async (folder) =>
    (await AutoTokenizer.fromPretrained(folder)).encode('a'),
  );
  t.deepEqual(ids, [1]);
});

test('a token named __proto__ is a token', async (t) => {
  const json = '{"model":{"type":"BPE","vocab":{"__proto__":0,"a":1},"merges":[]},"decoder":{"type":"Fuse"}}';
  await inFolder({ 'tokenizer.json': json }, async (folder) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    t.is(tokenizer.idToToken(0), '__proto__');
    t.is(tokenizer.decode([0, 1]), '__proto__a');
  });
});

test('token bytes: mapped bytes, spelling of special tokens, nothing outside the vocabulary', async (t) => {
  const json = {
    model: { ...model, vocab: { Ġa: 0, Ã: 1 } },
    added_tokens: [{ id: 2, content: '</s>', special: true }],
    decoder: { type: 'ByteLevel' },
  };
  await inFolder({ 'tokenizer.json': JSON.stringify(json) }, async (folder) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    t.is(tokenizer.decoderKind, 'byteLevel');
    t.deepEqual(
      [0, 1, 2, 99].map((id) => [...tokenizer.tokenBytes(id)]),
      [[32, 97], [0xc3], [60, 47, 115, 62], []],
    );
    t.is(tokenizer.decode([]), '');
    t.is(tokenizer.decode([0, 99, 2], { skipSpecialTokens: true }), ' a');
  });
});
