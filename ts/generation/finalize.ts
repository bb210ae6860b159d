/** Rows of different lengths to the rectangular `sequences` of a result. */

export interface PaddingRule {
  /** -1: none */
  padTokenId: number;
  eosTokenIds: readonly number[];
  /** `single`: greedy and sampling; `beam`: beam search and beam sampling. */
  mode: 'single' | 'beam';
}

/**
 * The id behind the end of a row. Beam search takes a pad id of 0 for none: it fills with the first end token, and with
 * -1 when there is none.
 */
export function fillTokenId({ padTokenId, eosTokenIds, mode }: PaddingRule): number {
  const eos = eosTokenIds[0];
  if (mode === 'single') return padTokenId >= 0 ? padTokenId : (eos ?? -1);
  if (eos === undefined) return -1;
  return padTokenId > 0 ? padTokenId : eos;
}

/** All rows at the length of the longest. */
export function assembleSequences(rows: readonly (readonly number[])[], rule: PaddingRule): number[][] {
  const width = rows.reduce((longest, row) => Math.max(longest, row.length), 0);
  const fill = fillTokenId(rule);
  return rows.map((row) => [...row, ...Array<number>(width - row.length).fill(fill)]);
}
