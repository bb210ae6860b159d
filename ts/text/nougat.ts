import { correctTables, removeEmptyTabulars, splitListLines, toMarkdown } from './nougat-markdown.js';
import { removeRepeatedReferences, truncateRepetitions } from './nougat-repetitions.js';
import { LINE_END, LINE_START, SPACE, strip, TEXT_END, WORD } from './python-text.js';

export interface NougatTextOptions {
  /** Spell equations, links and fences as Markdown viewers expect. Default true. */
  fixMarkdown?: boolean | undefined;
  /**
   * Whether the last word of a page is a whole word; then a space follows it, so that pages can be joined. Python asks the
   * word list of nltk and, where that is not installed, takes every word for one: the default.
   */
  isWord?: ((word: string) => boolean) | undefined;
}

type Rule = readonly [pattern: RegExp, replacement: string];
const rule = (source: string, replacement: string): Rule => [new RegExp(source, 'gu'), replacement];
const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((at, [pattern, replacement]) => at.replace(pattern, replacement), text);

/** A heading of a hundred characters and more is none. */
const LONG_HEADING = rule(`(?:\\n|^)#+ \\p{Nd}*[^${WORD}]? ?([^\\n]{100,})`, '\n$1');
/** Headings that hold only a number. */
const BARE_HEADING = rule(`${LINE_START}#+ (?:[\\p{Nd}+.]+|[ixv.]+)?[${SPACE}]*(?:${LINE_END}|\\n[${SPACE}]*)`, '');

const INLINE: readonly Rule[] = [
  // References of ten and more initials
  rule(`${LINE_START}\\* \\[\\p{Nd}+\\]([${SPACE}]?[A-W]\\.+[${SPACE}]?){10,}[^\\n]*${LINE_END}`, ''),
  // Empty brackets after the number of a reference
  rule(`${LINE_START}(\\* \\[\\p{Nd}+\\])\\[\\]([^\\n]*)${LINE_END}`, '$1$2'),
  // One character alone at the beginning or the end of the page
  rule(`^[${WORD}]\\n\\n|\\n\\n[${WORD}]${TEXT_END}`, ''),
  // Subscripts and variables in underscores
  rule(`([${SPACE}.,()])_([a-zA-Z0-9])__([a-zA-Z0-9]){1,3}_([${SPACE}.,:()])`, '$1\\($2_{$3}\\)$4'),
  rule(`([${SPACE}.,\\p{Nd}])_([a-zA-Z0-9])_([${SPACE}.,\\p{Nd};])`, '$1\\($2\\)$3'),
  // Footnotes that say so twice, and their marks in the text
  rule(`(\\nFootnote [^\\n]*?:) (?:footnotetext|thanks):[^${WORD}]*([^\\n]*(?:\\n\\n|${TEXT_END}))`, '$1 $2'),
  rule('\\[FOOTNOTE:[^\\n]+?\\]([^\\n]*?)\\[ENDFOOTNOTE\\]', ''),
];

const LAST: readonly Rule[] = [
  rule('(?:\\*\\*S\\. A\\. B\\.\\*\\*\\n+){2,}', ''),
  rule(`${LINE_START}#+(?: [\\[${WORD}])?${LINE_END}`, ''),
  rule(`${LINE_START}\\.[${SPACE}]*${LINE_END}`, ''),
  rule('\\n{3,}', '\n\n'),
];

/**
 * The Markdown text of a page from what a Nougat model wrote: NougatTokenizer.post_process_generation of transformers.
 * Headings, repetitions, invented references, lists, tables and footnotes are put right; the ends are such that pages can be
 * joined without more.
 */
export function postProcessNougat(text: string, options: NougatTextOptions = {}): string {
  let page = strip(apply(text, [LONG_HEADING])).replaceAll('\n* [leftmargin=*]\n', '\n');
  page = withoutLastHeading(apply(page, [BARE_HEADING]));
  page = removeRepeatedReferences(truncateRepetitions(page));
  page = joinable(splitListLines(apply(page, INLINE)), options.isWord);
  page = correctTables(page).replaceAll('\\begin{array}[]{', '\\begin{array}{');
  page = apply(removeEmptyTabulars(page), LAST);
  return (options.fixMarkdown ?? true) ? toMarkdown(page) : page;
}

/** A heading with nothing after it belongs to the next page, if to any. */
function withoutLastHeading(page: string): string {
  const lines = page.split('\n');
  return lines.length > 1 && /^#+ /u.test(lines.at(-1)!) ? lines.slice(0, -1).join('\n') : page;
}

const startsWithAny = (text: string, starts: readonly string[]): boolean => starts.some((s) => text.startsWith(s));

/** Line breaks or a space at the ends, by what the page begins and ends with. */
function joinable(page: string, isWord: (word: string) => boolean = () => true): string {
  const text = /[.}]$/u.test(page) ? `${page}\n\n` : page;
  if (/^[A-Z0-9,;:]\n?$/u.test(text)) return `${text} `;
  if (startsWithAny(text, ['#', '**', '\\begin'])) return `\n\n${text}`;
  if (startsWithAny(text.split('\n').at(-1)!, ['#', 'Figure', 'Table'])) return `${text}\n\n`;
  return isWord(text.split(' ').at(-1)!) ? `${text} ` : text;
}
