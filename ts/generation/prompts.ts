/** The decoder's prompt of every image. */
import { OptionError } from '../errors.js';
import { outOfRange } from './merge.js';

export interface PromptRequest {
  decoderInputIds: readonly (readonly number[])[] | null;
  decoderStartTokenId: number | readonly number[] | null;
  bosTokenId: number | null;
  batchSize: number;
  /** Prompts of these encoders never get a start token. */
  encoderModelType: string;
}

/** The start token of every image. */
export function startTokenIds(request: PromptRequest): number[] {
  const start = request.decoderStartTokenId ?? request.bosTokenId;
  if (start === null) {
    throw new OptionError(
      'DECODER_START_MISSING',
      'decoderStartTokenId: expected decoderStartTokenId or bosTokenId in the call or in the generation config, got neither',
    );
  }
  if (typeof start === 'number') return Array<number>(request.batchSize).fill(start);
  if (start.length !== request.batchSize) {
    throw outOfRange('decoderStartTokenId', `one id per image (${request.batchSize})`, `${start.length} ids`);
  }
  return [...start];
}

/**
 * Without ids every prompt is its start token. Given ids get the start token in front unless some row begins with its
 * own already; then all rows stay as they are.
 */
export function buildPrompts(request: PromptRequest): number[][] {
  const starts = startTokenIds(request);
  const given = request.decoderInputIds;
  if (given === null) return starts.map((id) => [id]);
  if (given.length !== request.batchSize) {
    throw outOfRange('decoderInputIds', `one prompt per image (${request.batchSize})`, `${given.length} prompts`);
  }
  const lengths = [...new Set(given.map((row) => row.length))];
  if (lengths.length > 1) {
    throw outOfRange('decoderInputIds', 'prompts of one length', `lengths ${lengths.join(', ')}`);
  }
  const asGiven = request.encoderModelType.includes('donut') || given.some((row, i) => row[0] === starts[i]);
  const rows = asGiven ? given.map((row) => [...row]) : given.map((row, i) => [starts[i]!, ...row]);
  if (rows[0]?.length === 0) throw outOfRange('decoderInputIds', 'at least one id per prompt', 'empty prompts');
  return rows;
}
