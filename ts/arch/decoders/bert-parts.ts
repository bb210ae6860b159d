/** The pieces of BERT-type embeddings and heads. */
import { ConfigError } from '../../errors';
import type { ConstantRow, DecoderPositions, HeadTransform } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';

/** The position table, read in order or by counting the tokens that are no pads. */
export function bertPositions(
  weights: WeightScope,
  name: string,
  rows: number,
  width: number,
  padTokenId: number | null,
): { positions: DecoderPositions; maxPositions: number } {
  const table = weights.embedding(name, [rows, width], padTokenId);
  if (padTokenId === null)
    return {
      positions: { kind: 'table', table, rows, ids: { kind: 'sequential', offset: 0 } },
      maxPositions: rows,
    };
  if (padTokenId + 1 < rows)
    return {
      positions: { kind: 'table', table, rows, ids: { kind: 'nonPad', padTokenId } },
      maxPositions: rows - padTokenId - 1,
    };
  const expected = `more than pad_token_id + 1 = ${padTokenId + 1}`;
  throw new ConfigError('INVALID_CONFIG', `config decoder.max_position_embeddings: expected ${expected}, got ${rows}`);
}

/** Row 0 of the token types, which is added to every token. */
export function tokenTypes(weights: WeightScope, name: string, rows: number, width: number): ConstantRow {
  return { table: weights.embedding(name, [rows, width]), rows };
}

export function headTransform(
  weights: WeightScope,
  [dense, norm]: readonly [dense: string, norm: string],
  [width, out]: readonly [width: number, out: number],
  act: HeadTransform['activation'],
  eps: number,
): HeadTransform {
  return { dense: weights.linear(dense, width, out), activation: act, norm: weights.norm(norm, out, eps) };
}
