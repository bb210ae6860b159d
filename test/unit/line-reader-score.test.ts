import test from 'ava';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';

interface Line {
  text: string;
  read: string;
  confidence?: number;
}
interface Scores {
  distance(a: string[], b: string[]): number;
  tidy(text: string): string;
  score(lines: Line[]): { lines: number; cer: number; cerFolded: number; wer: number; exact: number };
  scoreBlank(lines: Line[]): { lines: number; empty: number; meanCharacters: number };
  above(lines: Line[], least: number): { least: number; lines: number; right: number };
}

const file = path.join(__dirname, '..', '..', 'benchmarks', 'line-reader', 'score.mjs');
const load = async () => (await import(pathToFileURL(file).href)) as Scores;

test('the distance counts insertions, deletions and replacements', async (t) => {
  const { distance } = await load();
  const of = (a: string, b: string) => distance([...a], [...b]);
  t.deepEqual([of('', ''), of('abc', ''), of('', 'ab'), of('kitten', 'sitting'), of('ab', 'ba')], [0, 3, 2, 3, 2]);
});

test('error rates are errors over expected characters and words, not means over lines', async (t) => {
  const { score } = await load();
  const got = score([
    { text: 'abcd efgh', read: 'abcd efgx' },
    { text: 'a', read: 'bcd' },
  ]);
  t.is(got.cer, 4 / 10);
  t.is(got.wer, 2 / 3);
  t.is(got.exact, 0);
});

test('typographic quotes and dashes count in one rate and not in the other', async (t) => {
  const { score, tidy } = await load();
  const { cer, cerFolded } = score([{ text: "it's - “x”", read: tidy(' it’s  –\n"x"\n') }]);
  t.is(cer, 4 / 10);
  t.is(cerFolded, 0);
});

test('crops without text, and lines that are sure', async (t) => {
  const { scoreBlank, above } = await load();
  const blank = scoreBlank([
    { text: '', read: '' },
    { text: '', read: 'abcd' },
  ]);
  t.deepEqual({ ...blank }, { lines: 2, empty: 0.5, meanCharacters: 2 });
  const lines = [
    { text: 'a', read: 'a', confidence: 0.95 },
    { text: 'a', read: 'b', confidence: 0.96 },
    { text: 'a', read: 'b', confidence: 0.94 },
  ];
  t.deepEqual(above(lines, 0.95), { least: 0.95, lines: 2, right: 0.5 });
});
