/** Repetitions and invented references in the text of a page, after NougatTokenizer of transformers. */
import { after, replaceEach, strip } from './python-text.js';

const MIN_REPEATED = 30;

/**
 * Cuts a text that ends in repetitions of one part (of at least 30 characters, case ignored) after the sentence that ends the
 * first of them.
 */
export function truncateRepetitions(text: string): string {
  const lower = Array.from(text.toLowerCase());
  const size = repeatedSize(lower);
  if (size === 0) return text;
  let head = lower.length;
  while (endsWithLast(lower, head, size)) head -= size;
  const tail = lower.slice(head).join('');
  const forward = nextSentenceEnds(lower);
  const backward = nextSentenceEnds([...lower].reverse());
  let kept = head;
  for (;;) {
    // The start is looked up in the reversed text but used in the text itself: so does the original.
    const [start, end] = [backward[kept] ?? 0, forward[kept] ?? 0];
    if (start <= 0 || end <= 0) break;
    kept = end + 1;
    if (tail.includes(lower.slice(start, end).join(''))) break;
  }
  return Array.from(text).slice(0, kept).join('');
}

/** The size of the longest part, below half of the text, that stands twice at its end; 0 if there is none. */
function repeatedSize(text: readonly string[]): number {
  const reversed = [...text].reverse();
  const common = prefixMatches(reversed);
  for (let size = Math.floor(text.length / 2) - 1; size >= MIN_REPEATED; size--) {
    if ((common[size] ?? 0) >= size) return size;
  }
  return 0;
}

/** Per position the length of the longest part from there that is also a prefix of the text (Z function). */
function prefixMatches(text: readonly string[]): Int32Array {
  const matches = new Int32Array(text.length);
  let [left, right] = [0, 0];
  for (let i = 1; i < text.length; i++) {
    let length = i < right ? Math.min(right - i, matches[i - left] ?? 0) : 0;
    while (i + length < text.length && text[length] === text[i + length]) length++;
    matches[i] = length;
    if (i + length > right) [left, right] = [i, i + length];
  }
  return matches;
}

/** Whether the first `end` characters end in the last `size` of the whole text. */
function endsWithLast(text: readonly string[], end: number, size: number): boolean {
  if (end < size) return false;
  for (let i = 1; i <= size; i++) if (text[end - i] !== text[text.length - i]) return false;
  return true;
}

/** Per position the next sentence end at or after it, -1 if there is none. */
function nextSentenceEnds(text: readonly string[]): Int32Array {
  const ends = new Int32Array(text.length + 1).fill(-1);
  for (let i = text.length - 1; i >= 0; i--) {
    ends[i] = ['.', '?', '!', '\n'].includes(text[i] ?? '') ? i : (ends[i + 1] ?? -1);
  }
  return ends;
}

/** A line without digits, underscores and bold marks: what makes references of a list alike. */
function bare(line: string): string {
  return strip(line.replace(/[\p{Nd}_]|\*\*/gu, ''));
}

/** Indel similarity: twice the longest common subsequence over both lengths, computed as 1 - distance / lengths. */
export function similarity(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  const total = left.length + right.length;
  if (total === 0) return 1;
  let row = new Int32Array(right.length + 1);
  for (const character of left) {
    const next = new Int32Array(right.length + 1);
    for (let j = 1; j <= right.length; j++) {
      next[j] = right[j - 1] === character ? row[j - 1]! + 1 : Math.max(row[j]!, next[j - 1]!);
    }
    row = next;
  }
  return 1 - (total - 2 * row[right.length]!) / total;
}

const ALIKE = 0.9;
const characters = (text: string): number => Array.from(text).length;

/**
 * Replaces runs of more than 15 lines in which each line is nearly the next one by [MISSING_PAGE_POST]: references that a model
 * makes up where it has lost its way.
 */
export function removeRepeatedReferences(text: string): string {
  const lines = text.split('\n');
  const bareLines = lines.map(bare);
  const found = repeatedRuns(bareLines).map((run) => repeatedText(lines, bareLines, run));
  const without = found.reduceRight((at, part) => replaceEach(at, part, '\n\n[MISSING_PAGE_POST]\n\n'), text);
  return without.replace(/## References\n+\[MISSING_PAGE_POST(:\p{Nd}+)?\]/gu, '\n\n[MISSING_PAGE_POST$1]');
}

type Run = readonly [start: number, end: number];

/** Runs of nearly equal neighbours (empty lines between them left out of account), [start, end). */
function repeatedRuns(bareLines: readonly string[]): Run[] {
  const last = bareLines.length - 1;
  const next = new Int32Array(bareLines.length); // the next line that is not empty, else the last one
  for (let i = last - 1; i >= 0; i--) next[i] = bareLines[i + 1] === '' && i + 1 < last ? next[i + 1]! : i + 1;
  const marked: number[] = [];
  for (let i = 0; i < last; i++) {
    if (!neighboursAlike(bareLines[i]!, bareLines[next[i]!]!)) continue;
    for (let k = Math.max(i, (marked.at(-1) ?? -1) + 1); k < next[i]!; k++) marked.push(k);
  }
  const runs: Run[] = [];
  let start = 0;
  for (let k = 0; k < marked.length; k++) {
    const gap = k + 1 < marked.length ? marked[k + 1]! - marked[k]! : Infinity;
    if (gap <= 3) continue;
    runs.push([marked[start]!, marked[k]! + 2]);
    start = k + 1;
  }
  return runs.filter(([from, to]) => to - from > 15);
}

function neighboursAlike(a: string, b: string): boolean {
  const fits = (line: string): boolean => characters(line) > 3 && characters(line) < 200;
  if (!fits(a) || !fits(b) || a.startsWith('[MISSING_PAGE')) return false;
  return a === b || similarity(a, b) > ALIKE;
}

/** The text of a run with the heading before it, up to where the next page's text begins. */
function repeatedText(lines: readonly string[], bareLines: readonly string[], run: Run): string {
  const base = bareLines[run[0]]!;
  const { start, isReference } = runStart(lines, base, run[0]);
  let end = run[1];
  for (let i = end; i < Math.min(lines.length, run[1] + 5); i++) {
    if (similarity(base, bareLines[i]!) >= ALIKE) continue;
    end = i;
    break;
  }
  end = Math.min(end, lines.length - 1);
  let text = lines.slice(start, end + 1).join('\n');
  if (isReference && text.includes('* [')) text = `* [${after(text, '* [')}`;
  const rest = unlikeRest(lines[end - 1] ?? '', lines[end] ?? '');
  if (rest > 0) text = Array.from(text).slice(0, -rest).join('');
  return strip(text);
}

/** Looks at up to four lines before a run for its heading or its first reference. */
function runStart(lines: readonly string[], base: string, from: number): { start: number; isReference: boolean } {
  for (let i = Math.max(0, from - 1); i > Math.max(0, from - 5); i--) {
    const line = lines[i]!;
    if (line === '') continue;
    if (line === '## References') return { start: i, isReference: false };
    if (similarity(base, bare(line)) >= ALIKE) continue;
    const reference = bare(after(lines[Math.max(0, i - 1)]!, '* ['));
    const unlike = characters(reference) >= 0.75 * characters(base) && similarity(base, reference) < ALIKE;
    return { start: unlike ? i : i + 1, isReference: true };
  }
  return { start: from, isReference: false };
}

/** Ideographs for numbers: with \p{N} what str.isnumeric() accepts. */
const NUMERALS =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\u{2f890}';
const NUMERIC = new RegExp(`^[\\p{N}${NUMERALS}]$`, 'u');

/**
 * How many characters of the later line follow the first one in which it differs from the earlier line, numerals left out;
 * 0 where the later line ends first.
 */
function unlikeRest(earlier: string, later: string): number {
  const [a, b] = [Array.from(earlier), Array.from(later)];
  const pastNumerals = (text: readonly string[], from: number): number => {
    let at = from;
    while (at < text.length && NUMERIC.test(text[at]!)) at++;
    return at;
  };
  let [i, j, seen] = [0, 0, -1];
  for (;;) {
    i = pastNumerals(a, i);
    if (i >= a.length) break;
    j = pastNumerals(b, j);
    seen = Math.max(seen, Math.min(j, b.length - 1));
    if (j >= b.length || a[i] !== b[j]) break;
    [i, j] = [i + 1, j + 1];
  }
  return seen < 0 ? 0 : b.length - seen - 1;
}
