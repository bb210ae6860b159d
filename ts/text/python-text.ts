/** Text functions that agree with Python's on white space, word characters and digits, as sources for regular expressions. */

/** Inside brackets: what str.isspace() and \s accept. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
/** Inside brackets: \w. Combining marks are no word characters. */
export const WORD = '\\p{L}\\p{N}_';
/** Start and end of a line: only \n ends one. For expressions without the flag m. */
export const LINE_START = '(?<![^\\n])';
export const LINE_END = '(?![^\\n])';
/** $ without MULTILINE: the end, or before a last line break. */
export const TEXT_END = '(?=\\n?$)';

const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const ONE_SPACE = new RegExp(`[${SPACE}]`, 'u');

/** str.strip() */
export function strip(text: string): string {
  let end = text.length; // a trailing /[…]+$/ would look at every run of spaces in the text
  while (end > 0 && ONE_SPACE.test(text.charAt(end - 1))) end--;
  return text.slice(0, end).replace(LEADING, '');
}

/** str.partition(separator)[2] */
export function after(text: string, separator: string): string {
  const at = text.indexOf(separator);
  return at < 0 ? '' : text.slice(at + separator.length);
}

/** str.replace(from, to): an empty `from` is found before and after each character. */
export function replaceEach(text: string, from: string, to: string): string {
  if (from !== '') return text.replaceAll(from, () => to);
  return to + Array.from(text, (character) => character + to).join('');
}

/** How often `part` occurs without overlap. */
export function countOf(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** A source that matches `text` itself, for expressions with the flags i and u; dotted and dotless i as Python equates them. */
export function literalIgnoringCase(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&').replace(/[iI\u0130\u0131]/gu, '[iI\u0130\u0131]');
}
