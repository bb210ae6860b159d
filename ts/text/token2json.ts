import { OptionError } from '../errors.js';
import { literalIgnoringCase, strip } from './python-text.js';
import type { Tokenizer } from './tokenizer.js';

/** What a Donut token sequence holds. Keys are the checkpoint's own. */
export type TokenJson = string | TokenJson[] | { [key: string]: TokenJson };

type TokenObject = { [key: string]: TokenJson };

/** Each level holds a part of the text of the one before it. */
const MAX_DEPTH = 256;
const SEPARATOR = '<sep/>';

/**
 * The object a Donut sequence stands for, after DonutProcessor.token2json of transformers: `<s_key>…</s_key>` is a field,
 * `<sep/>` separates the items of a list, a field without end is skipped, text without any field is
 * `{ text_sequence: … }`. A leaf such as `<yes/>` becomes `yes` if it is one of `addedTokens`. Expects the text after the task
 * token and without padding and end token. Fields nested deeper than 256 throw OptionError TOKEN_JSON_DEPTH.
 * Keys that are whole numbers come first, as in any JavaScript object.
 */
export function token2json(text: string, addedTokens: Iterable<string> | Tokenizer = []): TokenObject | TokenJson[] {
  const added = new Set<string>(isTokenizer(addedTokens) ? addedTokens.addedTokens : addedTokens);
  const { items, rest, separated } = readItems(text, added, 0);
  return separated ? items : (items[0] ?? { text_sequence: rest });
}

function isTokenizer(value: Iterable<string> | Tokenizer): value is Tokenizer {
  return typeof value === 'object' && 'addedTokens' in value;
}

/** The objects of a text in which <sep/> separates them; one without fields at the end does not count. `rest`: what was not read. */
function readItems(
  text: string,
  added: ReadonlySet<string>,
  depth: number,
): { items: TokenObject[]; rest: string; separated: boolean } {
  if (depth > MAX_DEPTH)
    throw new OptionError('TOKEN_JSON_DEPTH', `expected fields nested at most ${MAX_DEPTH} deep, got more`);
  const items: TokenObject[] = [];
  let rest = text;
  let separated = false;
  for (;;) {
    const item: TokenObject = {};
    const read = readFields(rest, item, added, depth);
    rest = read.rest;
    if (read.more || Object.keys(item).length > 0) items.push(item);
    separated ||= read.more;
    if (!read.more) return { items, rest, separated };
  }
}

/** Reads fields into `item` up to a <sep/> or the end. */
function readFields(
  text: string,
  item: TokenObject,
  added: ReadonlySet<string>,
  depth: number,
): { rest: string; more: boolean } {
  let rest = text;
  while (rest !== '') {
    const start = startToken(rest);
    if (start === undefined) break;
    const name = literalIgnoringCase(start.slice(3, -1));
    const end = new RegExp(`</[s\u017f]_${name}>`, 'iu').exec(rest);
    if (end === null) {
      rest = rest.replaceAll(start, '');
      continue;
    }
    const found = new RegExp(`${literalIgnoringCase(start)}([^]*?)${literalIgnoringCase(end[0])}`, 'iu').exec(rest);
    if (found) {
      const value = fieldValue(strip(found[1] ?? ''), added, depth);
      // Defined, not assigned: a key may be called __proto__.
      if (value !== undefined)
        Object.defineProperty(item, start.slice(3, -1), {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
    }
    rest = strip(rest.slice(end.index + end[0].length));
    if (rest.startsWith(SEPARATOR)) return { rest: rest.slice(SEPARATOR.length), more: true };
  }
  return { rest, more: false };
}

/** The first `<s_…>` with its brackets. */
function startToken(text: string): string | undefined {
  const at = /<[s\u017f]_/iu.exec(text)?.index;
  const close = at === undefined ? -1 : text.indexOf('>', at);
  return close < 0 ? undefined : text.slice(at, close + 1);
}

function fieldValue(content: string, added: ReadonlySet<string>, depth: number): TokenJson | undefined {
  if (content.includes('<s_') && content.includes('</s_')) {
    const { items } = readItems(content, added, depth + 1);
    return items.length > 1 ? items : items[0];
  }
  const leaves = content.split(SEPARATOR).map((part) => {
    const leaf = strip(part);
    return added.has(leaf) && leaf.startsWith('<') && leaf.endsWith('/>') ? leaf.slice(1, -2) : leaf;
  });
  return leaves.length === 1 ? leaves[0] : leaves;
}
