// Tiny checkpoints laid out as the published ones: from image files to the text and objects that transformers' whole chain gives.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { pipeline, type ReadOptions, type ReadResult } from '../../ts/pipeline';
import type { TokenJson } from '../../ts/text/token2json';

const golden = join(__dirname, '..', 'golden');

interface Expected {
  /** The folder of test/golden/text with the tokenizer's files; the checkpoint's own come on top. */
  tokenizer: string;
  images: string[];
  options: ReadOptions;
  prompts?: string[];
  results: { ids: number[]; text: string; json?: unknown }[];
}

const systems = readdirSync(join(golden, 'systems'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

function compose(name: string, tokenizer: string): string {
  const folder = mkdtempSync(join(tmpdir(), `ved-${name}-`));
  for (const from of [join(golden, 'text', tokenizer), join(golden, 'systems', name)]) {
    cpSync(from, folder, { recursive: true, filter: (path) => !path.endsWith('expected.json') });
  }
  return folder;
}

for (const name of systems) {
  test(`${name}: images to text as transformers`, async (t) => {
    const expected = JSON.parse(readFileSync(join(golden, 'systems', name, 'expected.json'), 'utf8')) as Expected;
    const folder = compose(name, expected.tokenizer);
    t.teardown(() => rmSync(folder, { recursive: true }));
    const read = await pipeline('image-to-text', folder);
    t.teardown(() => read.dispose());
    const images = expected.images.map((image) => join(golden, 'images', image));
    const { prompts, options } = expected;
    const results = await read(images, { ...options, ...(prompts && { prompt: prompts }) });
    for (const [i, { ids, text, json }] of expected.results.entries()) {
      const [result] = results[i] as [ReadResult];
      const generated = result.tokens.map((token) => token.id);
      // Behind the generated ids there may be padding, before them start token and prompt.
      t.true(ids.join().includes(generated.join()), `${ids.join()} has ${generated.join()}`);
      t.true(generated.length >= 3);
      t.is(result.generatedText, text);
      t.deepEqual(result.json, json as TokenJson | undefined);
    }
    // An image gives alone what it gives in the batch.
    const alone = await read(images[1]!, { ...options, ...(prompts && { prompt: prompts[1]! }) });
    t.deepEqual(alone, results[1]);
  });
}

test('every published system has a golden case', (t) => {
  const trocr = ['trocr-base-handwritten', 'trocr-large-printed', 'trocr-small-printed'];
  const pages = ['donut-base-finetuned-cord-v2', 'donut-base-finetuned-docvqa', 'nougat-base'];
  for (const part of [...trocr, ...pages, 'vit-gpt2-image-captioning', 'manga-ocr-base', 'swin-bert', 'beit-roberta'])
    t.true(systems.includes(part), part);
});
