/** From the ids a model wrote to the text, or the object, that its users expect. */
import { OptionError } from '../errors';
import { postProcessMangaOcr } from '../text/manga-ocr';
import { postProcessNougat } from '../text/nougat';
import { token2json, type TokenJson } from '../text/token2json';
import type { Tokenizer } from '../text/tokenizer';

/** Donut's sequences as objects, Nougat's pages as Markdown, or manga-ocr's full-width text. */
export type PostProcess = 'token2json' | 'nougat' | 'mangaOcr';

export interface WrittenRow {
  /** Start token and prompt, then what was generated; no padding. */
  readonly sequence: readonly number[];
  readonly generated: readonly number[];
}

const NAMES: readonly PostProcess[] = ['token2json', 'nougat', 'mangaOcr'];

export function checkPostProcess(name: PostProcess | undefined): void {
  if (name === undefined || NAMES.includes(name)) return;
  throw new OptionError('INVALID_OPTION', `postProcess: expected ${NAMES.join(', ')}, got ${JSON.stringify(name)}`);
}

/** `endIds`: the ids of end and padding, which a token sequence is read without. */
export function finishText(
  row: WrittenRow,
  tokenizer: Tokenizer,
  postProcess: PostProcess | undefined,
  endIds: readonly number[],
): { generatedText: string; json?: TokenJson } {
  if (postProcess === 'token2json') {
    const text = tokenSequence(row.sequence, tokenizer, endIds);
    return { generatedText: text, json: token2json(text, tokenizer) };
  }
  const text = tokenizer.decode(row.generated, { skipSpecialTokens: true });
  if (postProcess === 'nougat') return { generatedText: postProcessNougat(text) };
  return { generatedText: postProcess === 'mangaOcr' ? postProcessMangaOcr(text) : text };
}

/** The whole sequence, prompt included, without its first token in angle brackets, which names the task. */
function tokenSequence(ids: readonly number[], tokenizer: Tokenizer, endIds: readonly number[]): string {
  let text = tokenizer.decode(ids);
  for (const id of endIds) {
    const token = tokenizer.idToToken(id);
    if (token) text = text.replaceAll(token, '');
  }
  return text.replace(/<[^\n]*?>/u, '').trim();
}
