/** From resolved options to the native call, and from its sequences to Hugging Face's output. */
import { assembleSequences, fillTokenId } from '../generation/finalize';
import type { GenerationValues } from '../generation/generation-config';
import type { ResolvedGenerateOptions } from '../generation/options';
import type { Tensor } from './inputs';
import type { NativeGenerateOptions, NativeGenerateResult, NativeTensor } from '../native/contract';
import type { Tokenizer } from '../text/tokenizer';

/** In place, one row (beam) at a time. */
export type LogitsProcessor = (ids: readonly number[], scores: Float32Array, row: number) => void;
export type StoppingCriterion = (ids: readonly number[], scores: Float32Array, row: number) => boolean;

/** Options of one call; absent ones come from the model's generationConfig. */
export interface GenerateOptions extends GenerationValues {
  /** The start token is prepended unless some row begins with it; never for Donut encoders. */
  decoderInputIds?: number[][];
  interpolatePosEncoding?: boolean;
  /** Needed by stopStrings. */
  tokenizer?: Tokenizer;
  /** Fixes the result whatever the splitting or other traffic; without it each call differs. */
  seed?: number;
  signal?: AbortSignal;
  outputCrossAttentions?: boolean;
  prefixAllowedTokensFn?: (row: number, ids: readonly number[]) => number[];
  logitsProcessors?: LogitsProcessor[];
  stoppingCriteria?: StoppingCriterion[];
}

export type FinishReason = 'eos' | 'length' | 'stopString' | 'time' | 'criterion';

/** One row per image × numReturnSequences, in Hugging Face's order. */
export interface GenerateOutput {
  /** Start token first, padded to one length. */
  sequences: number[][];
  /** Log-softmax of the raw logits of each generated token, up to and including eos. */
  tokenLogProbs: number[][];
  /** Beam search: sum of processed log-probabilities / length ** lengthPenalty. */
  sequenceScores?: number[];
  /** Beam search: flat source beam (image · numBeams + beam) of each generated token, -1 after the end. */
  beamIndices?: number[][];
  /** Per step [rows, vocab], after all processors; a row that has ended holds zeros. */
  scores?: Tensor[];
  /** Per decoder layer [rows, heads, tokens, encoderTokens], for the inputs of each returned sequence. */
  crossAttentions?: Tensor[];
  finishReasons: FinishReason[];
}

const tokenTexts = new WeakMap<Tokenizer, (string | Uint8Array)[]>();

function tokenTextOf(tokenizer: Tokenizer, vocabSize: number): (string | Uint8Array)[] {
  let texts = tokenTexts.get(tokenizer);
  if (texts?.length !== vocabSize) {
    texts = Array.from({ length: vocabSize }, (_, id) => tokenizer.tokenBytes(id));
    tokenTexts.set(tokenizer, texts);
  }
  return texts;
}

export function nativeOptions(
  resolved: ResolvedGenerateOptions,
  call: GenerateOptions,
  vocabSize: number,
): NativeGenerateOptions {
  const { prompts: _, outputCrossAttentions: __, interpolatePosEncoding: ___, ...options } = resolved;
  const native: NativeGenerateOptions = { ...options };
  if (resolved.stopStrings.length > 0 && call.tokenizer) native.tokenText = tokenTextOf(call.tokenizer, vocabSize);
  const { logitsProcessors, stoppingCriteria, prefixAllowedTokensFn } = call;
  if (logitsProcessors?.length) {
    native.userProcessor = (ids, scores, row) => logitsProcessors.forEach((process) => process(ids, scores, row));
  }
  if (stoppingCriteria?.length) {
    // Every criterion sees every step, as in transformers, also after another one has already fired.
    native.userCriterion = (ids, scores, row) => stoppingCriteria.map((stop) => stop(ids, scores, row)).some(Boolean);
  }
  if (prefixAllowedTokensFn) {
    // Hugging Face numbers images here, not beams.
    native.prefixAllowed = (row, ids) => prefixAllowedTokensFn(Math.floor(row / resolved.numBeams), ids);
  }
  return native;
}

export function assembleOutput(
  native: NativeGenerateResult,
  options: ResolvedGenerateOptions,
  vocabSize: number,
): GenerateOutput {
  const { numBeams, numReturnSequences, promptLength, padTokenId, eosTokenIds } = options;
  const rows = native.sequences;
  const mode = numBeams > 1 ? 'beam' : 'single';
  const output: GenerateOutput = {
    sequences: assembleSequences(
      rows.map((row) => row.ids),
      { padTokenId, eosTokenIds, mode },
    ),
    tokenLogProbs: rows.map((row) => row.tokenLogProbs),
    finishReasons: rows.map((row) => row.finish),
  };
  if (numBeams > 1) {
    const width = Math.max(...rows.map((row) => row.ids.length - promptLength));
    output.sequenceScores = rows.map((row) => row.score);
    output.beamIndices = rows.map((row, index) => {
      const offset = Math.floor(index / numReturnSequences) * numBeams;
      return Array.from({ length: width }, (_, step) =>
        step < row.beamIndices.length ? offset + row.beamIndices[step]! : -1,
      );
    });
  }
  if (options.outputScores) output.scores = assembleScores(native.scores, numBeams, vocabSize);
  return output;
}

function assembleScores(searches: NativeTensor[][], rowsPerSearch: number, vocabSize: number): Tensor[] {
  const steps = Math.max(0, ...searches.map((search) => search.length));
  const rows = searches.length * rowsPerSearch;
  return Array.from({ length: steps }, (_, step) => {
    const data = new Float32Array(rows * vocabSize);
    searches.forEach((search, index) => {
      const values = search[step];
      if (values) data.set(values.data, index * rowsPerSearch * vocabSize);
    });
    return { data, dims: [rows, vocabSize] };
  });
}

/** The decoder inputs whose attentions belong to the generated tokens: all but the last id, padding filled with a legal id. */
export function attentionInputs(output: GenerateOutput, options: ResolvedGenerateOptions): number[][] {
  const mode = options.numBeams > 1 ? 'beam' : 'single';
  const fill = fillTokenId({ padTokenId: options.padTokenId, eosTokenIds: options.eosTokenIds, mode });
  return output.sequences.map((row) => row.slice(0, -1).map((id) => (id < 0 ? Math.max(fill, 0) : id)));
}
