import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigError } from '../../ts/errors.js';
import { AutoTokenizer } from '../../ts/text/auto.js';
import { parseSentencePiece } from '../../ts/text/sentencepiece.js';

const golden = join(__dirname, '../golden/text');

/** A copy of a golden folder's vocabulary, with a tokenizer_config.json of its own or none. */
async function copied(t: ExecutionContext, name: string, files: string[], config?: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ved-legacy-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const file of files) await cp(join(golden, name, file), join(folder, file));
  if (config !== undefined) await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return folder;
}

const CASES: [string, string[]][] = [
  ['roberta-legacy', ['vocab.json', 'merges.txt']],
  ['gpt2-legacy', ['vocab.json', 'merges.txt']],
  ['bert-legacy', ['vocab.txt']],
  ['xlm-roberta-legacy', ['sentencepiece.bpe.model']],
];

for (const [name, files] of CASES) {
  test(`${name}: recognised by its file names alone`, async (t) => {
    const named = await AutoTokenizer.fromPretrained(join(golden, name));
    const bare = await AutoTokenizer.fromPretrained(await copied(t, name, files));
    for (const text of ['Hello world, 2026!', ' naïve café', '東京', '']) {
      t.deepEqual(bare.encode(text), named.encode(text));
      t.is(bare.decode(named.encode(text)), named.decode(named.encode(text)));
    }
  });
}

test('added_tokens.json and special_tokens_map.json extend a legacy vocabulary', async (t) => {
  const folder = await copied(t, 'bert-legacy', ['vocab.txt'], { tokenizer_class: 'BertTokenizer' });
  const size = (await AutoTokenizer.fromPretrained(folder)).vocabSize;
  await writeFile(join(folder, 'added_tokens.json'), JSON.stringify({ '<tag>': size + 1, '<mark>': size }));
  await writeFile(join(folder, 'special_tokens_map.json'), JSON.stringify({ additional_special_tokens: ['<tag>'] }));
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  t.is(tokenizer.vocabSize, size + 2);
  t.deepEqual(tokenizer.encode('<tag><mark>', { addSpecialTokens: false }), [size + 1, size]);
  t.true(tokenizer.specialIds.has(size + 1));
  t.false(tokenizer.specialIds.has(size));
});

test('a class whose vocabulary is missing is refused by name', async (t) => {
  const folder = await copied(t, 'bert-legacy', ['vocab.txt'], { tokenizer_class: 'XLMRobertaTokenizer' });
  await t.throwsAsync(AutoTokenizer.fromPretrained(folder), { instanceOf: ConfigError, code: 'TOKENIZER_NOT_FOUND' });
});

test('a merges.txt with broken lines is refused', async (t) => {
  const folder = await copied(t, 'roberta-legacy', ['vocab.json', 'merges.txt']);
  await writeFile(join(folder, 'merges.txt'), '#version: 0.2\na b c\n');
  await t.throwsAsync(AutoTokenizer.fromPretrained(folder), { instanceOf: ConfigError, code: 'TOKENIZER_MERGES' });
});

test('a sentencepiece model cut or flipped anywhere is read or refused by name', async (t) => {
  const bytes = await readFile(join(golden, 'xlm-roberta-legacy/sentencepiece.bpe.model'));
  let refused = 0;
  const attempt = (changed: Uint8Array): void => {
    try {
      parseSentencePiece(changed);
    } catch (error) {
      refused++;
      if (!(error instanceof ConfigError)) t.fail(String(error));
    }
  };
  for (let at = 0; at < bytes.length; at += 97) attempt(bytes.subarray(0, at));
  for (let at = 0; at < Math.min(bytes.length, 4000); at += 3) {
    const changed = Uint8Array.from(bytes);
    changed[at] = changed[at]! ^ 0xff;
    attempt(changed);
  }
  t.true(refused > 100);
});
