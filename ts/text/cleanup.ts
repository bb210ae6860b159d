const RULES: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** transformers' clean_up_tokenization: spaces before punctuation and English contractions are removed, in this order. */
export function cleanUpSpaces(text: string): string {
  return RULES.reduce((at, [from, to]) => at.replaceAll(from, to), text);
}

/** The WordPiece and CTC decoders' own clean-up, per token: one rule more than transformers'. */
export function cleanUpToken(token: string): string {
  if (!token.includes(' ')) return token;
  const early = RULES.slice(0, 7).reduce((at, [from, to]) => at.replaceAll(from, to), token);
  return RULES.slice(7).reduce((at, [from, to]) => at.replaceAll(from, to), early.replaceAll(' do not', " don't"));
}

/**
 * The last index at which text may be cut so that cleaning the parts gives the cleaned whole, whatever follows; 0 if none.
 * A cut is before a space that starts no rule and ends none: a plain character follows, neither space nor quote precedes.
 */
export function cleanUpCut(text: string): number {
  for (let p = text.length - 2; p > 0; p--) {
    if (text[p] === ' ' && !" .?!,'n".includes(text.charAt(p + 1)) && !" '".includes(text.charAt(p - 1))) return p;
  }
  return 0;
}
