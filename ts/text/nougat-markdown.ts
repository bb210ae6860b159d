/** Lists, tables and Markdown spelling in the text of a page, after NougatTokenizer of transformers. */
import { countOf, LINE_END, LINE_START, SPACE, strip, WORD } from './python-text.js';

const ITEM_MARK = /[^] ([-*]) /u;
const LEVEL_MARK = /^[\p{Nd}ixvIXV\u0130\u0131]+(?:\.[\p{Nd}ixvIXV\u0130\u0131])*$/u;

/** Lines that hold several list items are broken; `1.2 ` at the start of an item indents it by one tab per period. */
export function splitListLines(text: string): string {
  const lines = text.split('\n');
  return lines
    .map((line, index) => splitListLine(line, index === 0) + (index === lines.length - 1 && isList(line) ? '\n' : ''))
    .join('\n');
}

function isList(line: string): boolean {
  return /^[-*]/u.test(line) && ITEM_MARK.test(line);
}

function splitListLine(line: string, first: boolean): string {
  const mark = ITEM_MARK.exec(line)?.[1];
  if (mark === undefined || !isList(line)) return line;
  let out = '';
  for (const [index, part] of line.split(`${mark} `).slice(1).entries()) {
    const item = strip(part);
    const space = item.indexOf(' ');
    if (space < 0) continue;
    const number = item.slice(0, space);
    const level = LEVEL_MARK.test(number) ? countOf(number, '.') : 0;
    const bullet = index > 0 || first ? mark : line.charAt(0);
    out += `${index > 0 ? '\n' : ''}${'\t'.repeat(level)}${bullet} ${item}`;
  }
  return out;
}

const MANY = { '\\begin{tabular}': 15, '\\multicolumn': 60, '&': 400 } as const;

/** Tables: lines of nothing but columns are dropped, environments get lines of their own, empty ones go. */
export function correctTables(text: string): string {
  let out = text;
  for (const line of text.split('\n')) {
    if (Object.entries(MANY).some(([part, limit]) => countOf(line, part) > limit)) out = out.replaceAll(line, '');
  }
  return out
    .replaceAll('\\begin{table} \\begin{tabular}', '\\begin{table}\n\\begin{tabular}')
    .replaceAll('\\end{tabular} \\end{table}', '\\end{tabular}\n\\end{table}')
    .replaceAll('\\end{table} Tab', '\\end{table}\nTab')
    .replace(new RegExp(`${LINE_START}([^\\n]+)\\\\begin\\{tab`, 'gu'), '$1\n\\begin{tab')
    .replaceAll('\\begin{tabular}{l l}  & \\\\ \\end{tabular}', '')
    .replaceAll('\\begin{tabular}{}\n\n\\end{tabular}', '');
}

const EMPTY_TABULAR = new RegExp(
  `\\\\begin\\{tabular\\}\\{[clr ]{2,}\\}([${SPACE}&]*)(\\\\\\\\ )?\\\\end\\{tabular\\}`,
  'gu',
);

/** Removes tabulars without content: white space, `&`s among spaces, white space, perhaps a `\\`, then one space. */
export function removeEmptyTabulars(text: string): string {
  return text.replace(EMPTY_TABULAR, (whole: string, body: string, lineBreak: string | undefined) => {
    if (lineBreak === undefined && !body.endsWith(' ')) return whole;
    const cells = strip(lineBreak === undefined ? body.slice(0, -1) : body);
    return /^[& ]*$/u.test(cells) ? '' : whole;
  });
}

const EQUATION = '\\\\\\[([^\\n]+?)\\\\\\]';
const TAG = '\\(([\\p{Nd}.]+[a-zA-Z]?)\\)';
const line = (source: string): RegExp => new RegExp(`${LINE_START}${source}${LINE_END}`, 'gu');
const TAG_FIRST = line(`${TAG} ${EQUATION}`);
const TAG_LAST = line(`${EQUATION} ${TAG}`);
const TAG_BETWEEN = line(`${EQUATION} ${TAG} (\\\\\\[[^\\n]+?\\\\\\])`);
const URL_TEXT = new RegExp(
  `(?:http|ftp|https)://[${WORD}-]+(?:\\.[${WORD}-]+)+[${WORD}.,@?^=%&:/~+#-]*[${WORD}@?^=%&/~+#-]`,
  'gu',
);

/** Spelling that Markdown viewers understand: equation tags, bold symbols, links, fences on lines of their own. */
export function toMarkdown(text: string): string {
  const spelled = text
    .replace(TAG_FIRST, '\\[$2 \\tag{$1}\\]')
    .replace(TAG_LAST, '\\[$1 \\tag{$2}\\]')
    .replace(TAG_BETWEEN, '\\[$1 \\tag{$2}\\] $3')
    .replaceAll('\\. ', '. ')
    .replaceAll('\\bm{', '\\mathbf{')
    .replaceAll('{\\\\bm ', '\\mathbf{')
    .replace(/\\mbox\{ ?\\boldmath\$([^\n]*?)\$\}/gu, '\\mathbf{$1}')
    .replace(URL_TEXT, '[$&]($&)');
  return fencesOnLines(spelled);
}

const FENCE = '```';

/** Fences and what they enclose, without the white space between, on lines of their own. */
function fencesOnLines(text: string): string {
  let out = '';
  let done = 0;
  for (let open = text.indexOf(FENCE); open >= 0;) {
    const found = closing(text, open + FENCE.length);
    if (found === undefined) {
      open = text.indexOf(FENCE, open + 1);
      continue;
    }
    out += `${text.slice(done, open)}${FENCE}\n${found.content}\n${FENCE}`;
    done = found.end;
    open = text.indexOf(FENCE, done);
  }
  return out + text.slice(done);
}

/** The content of at least one character after an opening fence and where its closing fence ends. */
function closing(text: string, from: number): { content: string; end: number } | undefined {
  const blank = (at: number): boolean => strip(text.charAt(at)) === '';
  let start = from;
  while (start < text.length && blank(start)) start++;
  const width = (text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1;
  const fence = text.indexOf(FENCE, start + width);
  if (fence >= 0) {
    let end = fence;
    while (end > start + width && blank(end - 1)) end--;
    return { content: text.slice(start, end), end: fence + FENCE.length };
  }
  // No fence after the first other character: then that is a fence itself, and white space the content.
  if (start === from || !text.startsWith(FENCE, start)) return undefined;
  return { content: text.charAt(start - 1), end: start + FENCE.length };
}
