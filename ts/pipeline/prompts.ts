/** Prompts per image: rows of one generate call need prompts of one length, so images are grouped by it. */
import { OptionError } from '../errors';
import type { Tokenizer } from '../text/tokenizer';

/** The ids of each image's prompt. `images`: the places of these images in the caller's list of `count`. */
export function promptIds(
  prompt: string | readonly string[],
  images: readonly number[],
  count: number,
  tokenizer: Tokenizer,
): number[][] {
  if (typeof prompt !== 'string' && (prompt.length !== count || prompt.some((text) => typeof text !== 'string'))) {
    throw new OptionError(
      'INVALID_OPTION',
      `prompt: expected a text, or one per image (${count}), got ${prompt.length}`,
    );
  }
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false });
  if (typeof prompt === 'string') {
    const ids = encode(prompt);
    return images.map(() => ids);
  }
  return images.map((image) => encode(prompt[image]!));
}

/** Row numbers by the length of their prompt. */
export function rowsByLength(prompts: readonly (readonly number[])[]): number[][] {
  const groups = new Map<number, number[]>();
  prompts.forEach((ids, row) => groups.set(ids.length, [...(groups.get(ids.length) ?? []), row]));
  return [...groups.values()];
}
