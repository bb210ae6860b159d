import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { OptionError } from '../../ts/errors.js';
import { postProcessMangaOcr } from '../../ts/text/manga-ocr.js';
import { nougatStoppingCriterion } from '../../ts/text/nougat-stopping.js';
import { postProcessNougat } from '../../ts/text/nougat.js';
import { token2json } from '../../ts/text/token2json.js';

const root = join(__dirname, '../golden/post-processing');
const read = <T>(name: string): T => JSON.parse(readFileSync(join(root, `${name}.json`), 'utf8')) as T;

test('nougat texts as transformers cleans them', (t) => {
  const cases = read<{ text: string; words: boolean; fixMarkdown: boolean; out: string }[]>('nougat');
  const { words } = read<{ words: string[] }>('provenance');
  t.true(cases.length >= 200);
  for (const { text, words: known, fixMarkdown, out } of cases) {
    const isWord = known ? (word: string) => words.includes(word) : undefined;
    t.is(postProcessNougat(text, { fixMarkdown, isWord }), out, JSON.stringify(text));
  }
});

test('token2json as transformers reads token sequences', (t) => {
  const cases = read<{ text: string; added: string[]; out: string }[]>('token2json');
  t.true(cases.length >= 200);
  for (const { text, added, out } of cases)
    t.is(JSON.stringify(token2json(text, added)), JSON.stringify(JSON.parse(out)), JSON.stringify(text));
});

test('token2json: keys cannot reach the prototype, deep nesting has a limit', (t) => {
  const parsed = token2json('<s___proto__><s_polluted>1</s_polluted></s___proto__>');
  t.is(Object.getPrototypeOf(parsed), Object.prototype);
  t.is(({} as { polluted?: unknown }).polluted, undefined);
  const deep = (levels: number): string =>
    Array.from({ length: levels }, (_, i) => `<s_${i}>`).join('') +
    'x' +
    Array.from({ length: levels }, (_, i) => `</s_${levels - 1 - i}>`).join('');
  t.notThrows(() => token2json(deep(200)));
  t.throws(() => token2json(deep(300)), { instanceOf: OptionError, code: 'TOKEN_JSON_DEPTH' });
  const list = token2json('<s_a>1</s_a>' + '<sep/><s_a>1</s_a>'.repeat(3000));
  t.is((list as unknown[]).length, 3001);
});

test('token2json: keys of any characters', (t) => {
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter((c) => c !== '>');
  for (const key of [...printable, printable.join(''), 'é\u0301', '\u{1f600}', '\ud800'])
    t.deepEqual(token2json(`<s_${key}> 1 </s_${key}>`), { [key]: '1' }, JSON.stringify(key));
});

test('manga-ocr texts', (t) => {
  for (const { text, out } of read<{ text: string; out: string }[]>('manga-ocr'))
    t.is(postProcessMangaOcr(text), out, JSON.stringify(text));
});

test("nougat's stopping rule ends a row where the project's does", (t) => {
  const cases =
    read<{ threshold: number; windowSize: number; highest: number[]; stopsAt: number | null }[]>('nougat-stopping');
  t.true(cases.some((c) => c.stopsAt !== null) && cases.some((c) => c.stopsAt === null));
  for (const { threshold, windowSize, highest, stopsAt } of cases) {
    const stops = nougatStoppingCriterion({ threshold, windowSize });
    const other = nougatStoppingCriterion({ threshold, windowSize });
    const ids = [0];
    let stopped: number | null = null;
    for (const [step, value] of highest.entries()) {
      ids.push(step);
      // Another row between, and a call of another criterion, do not disturb the first.
      stops(ids, Float32Array.of(step, -1), 1);
      other(ids, Float32Array.of(-3), 0);
      if (stops(ids, Float32Array.of(-5, value, value - 1), 0) && stopped === null) stopped = step + 1;
    }
    t.is(stopped, stopsAt);
  }
});

test('a text that begins anew is another one, and options are checked', (t) => {
  const stops = nougatStoppingCriterion({ windowSize: 2, threshold: 1 });
  const calm = [1, 2, 3, 4].map((length) => stops(new Array<number>(length + 1).fill(0), Float32Array.of(1), 0));
  t.deepEqual(calm, [false, false, false, true]);
  t.false(stops([0, 0], Float32Array.of(1), 0));
  t.throws(() => nougatStoppingCriterion({ threshold: 0 }), { instanceOf: OptionError });
  t.throws(() => nougatStoppingCriterion({ windowSize: 1.5 }), { instanceOf: OptionError });
});

test('long texts of one kind stay fast', (t) => {
  const size = 60_000;
  for (const unit of [
    'a',
    ' ',
    '\n',
    '```',
    '``` ',
    '#',
    '# ',
    '* [1] ',
    '- - ',
    '_a_ ',
    '\\begin{tabular}{cc} ',
    '.',
    'http://',
  ]) {
    const text = unit.repeat(size / unit.length);
    t.is(typeof postProcessNougat(`x${text}`), 'string');
    t.is(typeof postProcessNougat(`\\begin{tabular}{cc}${text}`), 'string');
  }
  t.is(typeof token2json('<s_'.repeat(size)), 'object');
});
