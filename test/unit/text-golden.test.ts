import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test from 'ava';
import { AutoTokenizer } from '../../ts/text/auto.js';
import { StreamDecoder } from '../../ts/text/stream-decoder.js';

interface Expected {
  encode?: [string, number[], number[]][];
  decode: [number[], string, string][];
  vocabSize: number;
  /** Files of other folders that belong to this tokenizer. */
  files?: string[];
}

const root = join(__dirname, '../golden/text');
const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());

const made: string[] = [];
test.after.always(() => made.forEach((folder) => rmSync(folder, { recursive: true })));

/** The folder with what it borrows. */
function whole(name: string, { files = [] }: Expected): string {
  if (files.length === 0) return join(root, name);
  const folder = mkdtempSync(join(tmpdir(), 'ved-text-'));
  made.push(folder);
  cpSync(join(root, name), folder, { recursive: true });
  for (const file of files) cpSync(join(root, file), join(folder, basename(file)));
  return folder;
}

for (const { name } of folders) {
  const expected = JSON.parse(readFileSync(join(root, name, 'expected.json'), 'utf8')) as Expected;
  const folder = whole(name, expected);

  test(`${name}: encodes as transformers does`, async (t) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    t.is(tokenizer.vocabSize, expected.vocabSize);
    for (const [text, full, bare] of expected.encode ?? []) {
      t.deepEqual(tokenizer.encode(text), full, JSON.stringify(text));
      t.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), bare, JSON.stringify(text));
    }
  });

  test(`${name}: decodes as transformers does`, async (t) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    for (const [ids, all, skipped] of expected.decode) {
      t.is(tokenizer.decode(ids), all, JSON.stringify(ids));
      t.is(tokenizer.decode(ids, { skipSpecialTokens: true }), skipped, JSON.stringify(ids));
    }
    const rows = expected.decode.map(([ids]) => ids);
    t.deepEqual(
      tokenizer.batchDecode(rows),
      expected.decode.map(([, all]) => all),
    );
  });

  test(`${name}: streamed pieces join to the whole text`, async (t) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    const long = expected.decode.flatMap(([ids]) => ids);
    for (const ids of [long, ...expected.decode.map(([row]) => row)]) {
      for (const options of [{}, { skipSpecialTokens: true }]) {
        const stream = new StreamDecoder(tokenizer, options);
        const pieces = ids.map((id) => stream.push(id));
        t.is(pieces.join('') + stream.end(), tokenizer.decode(ids, options));
      }
    }
  });
}
