import { join } from 'node:path';
import test from 'ava';
import { OptionError } from '../../ts/errors';
import { finishText } from '../../ts/pipeline/post-process';
import { pipeline, type ReadOptions } from '../../ts/pipeline';
import { AutoTokenizer } from '../../ts/text/auto';

const image = (name: string): string => join(__dirname, '..', 'golden', 'images', name);
const names = ['rgb.png', 'landscape.png', 'page.png', 'tiny.png'];

test('prompts per image, of any length, give what single calls give', async (t) => {
  const read = await pipeline('image-to-text');
  t.teardown(() => read.dispose());
  const prompt = ['12', 'A', '34', ''];
  const options = { maxNewTokens: 6, minNewTokens: 3 };
  const all = await read(names.map(image), { ...options, prompt });
  for (const [i, name] of names.entries()) {
    const [alone] = await read(image(name), { ...options, prompt: prompt[i] ?? '' });
    t.deepEqual(all[i], [alone!]);
  }
  const withHole = await read.settled([image('rgb.png'), image('absent.png'), image('page.png')], {
    ...options,
    prompt: ['12', 'never', '34'],
  });
  t.deepEqual(
    withHole.map((outcome) => ('results' in outcome ? outcome.results : 'error')),
    [all[0]!, 'error', all[2]!],
  );
  const pieces: string[] = [];
  for await (const { row, text } of read.stream(names.slice(0, 3).map(image), {
    ...options,
    prompt: ['12', '56', '34'],
  }))
    if (row === 2) pieces.push(text);
  t.is(pieces.join(''), all[2]![0]!.generatedText);
});

test('the prompt is heeded', async (t) => {
  const read = await pipeline('image-to-text');
  t.teardown(() => read.dispose());
  const [a, b] = await read([image('rgb.png'), image('rgb.png')], { maxNewTokens: 8, prompt: ['A', '9999999'] });
  t.notDeepEqual(a![0]!.tokens, b![0]!.tokens);
});

test('options of the text are checked', async (t) => {
  const read = await pipeline('image-to-text');
  t.teardown(() => read.dispose());
  const refused: [ReadOptions, RegExp][] = [
    [{ prompt: ['a', 'b'] }, /one per image \(1\), got 2/u],
    [{ prompt: 'a', decoderInputIds: [[1]] }, /prompt/u],
    [{ postProcess: 'donut' as 'nougat' }, /token2json, nougat, mangaOcr/u],
    [{ grayscale: 1 as unknown as boolean }, /grayscale/u],
  ];
  for (const [options, message] of refused)
    await t.throwsAsync(read(image('rgb.png'), options), { instanceOf: OptionError, message });
  await t.throwsAsync(read.stream(image('rgb.png'), { postProcess: 'nougat' }).next(), { instanceOf: OptionError });
});

test('grayscale and stopOnRepetition reach processor and model', async (t) => {
  const read = await pipeline('image-to-text');
  t.teardown(() => read.dispose());
  const [colour, grey] = await Promise.all([
    read.processor.preprocess(image('rgb.png')),
    read.processor.preprocess(image('rgb.png'), { grayscale: true }),
  ]);
  const size = grey.pixelValues.data.length / 3;
  t.deepEqual(grey.pixelValues.data.slice(0, size), grey.pixelValues.data.slice(size, 2 * size));
  t.notDeepEqual(grey.pixelValues.data, colour.pixelValues.data);
  const plain = await read(image('rgb.png'), { maxNewTokens: 5 });
  t.deepEqual(await read(image('rgb.png'), { maxNewTokens: 5, stopOnRepetition: true }), plain);
});

test('token2json reads the whole sequence: prompt kept, task token, end and padding dropped', async (t) => {
  const tokenizer = await AutoTokenizer.fromPretrained(join(__dirname, '..', 'golden', 'text', 'donut'));
  const ids = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false });
  const prompt = ids('<s><s_menu>');
  const generated = [...ids('total</s_menu>'), tokenizer.tokenToId('</s>')!];
  const row = { sequence: [...prompt, ...generated], generated };
  const { json, generatedText } = finishText(row, tokenizer, 'token2json', [tokenizer.tokenToId('</s>')!]);
  t.deepEqual(json, { menu: 'total' });
  t.is(generatedText, '<s_menu> total</s_menu>');
  t.deepEqual(finishText(row, tokenizer, undefined, []), { generatedText: tokenizer.decode(ids('total')) });
  t.is(finishText(row, tokenizer, 'mangaOcr', []).generatedText, 'ｔｏｔａｌ');
  t.is(finishText(row, tokenizer, 'nougat', []).generatedText, 'total ');
});
