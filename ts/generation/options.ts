/** From what a caller and a model's files say to one complete, checked set of values for the native decoder. */
import { randomBytes } from 'node:crypto';
import { OptionError } from '../errors.js';
import type { GenerationValues } from './generation-config.js';
import { mergeOptions, outOfRange, type Merged } from './merge.js';
import { buildPrompts } from './prompts.js';

/** Facts about the model that options are checked against. */
export interface ModelLimits {
  vocabSize: number;
  /** Rows of the decoder's position table; undefined when positions are unlimited. */
  maxPositions?: number | undefined;
  encoderModelType: string;
}

export interface ResolveRequest {
  /** The options of the call, functions and all. */
  call: object;
  /** model.generationConfig */
  model: GenerationValues;
  config: ModelLimits;
  batchSize: number;
}

/** Mirrors decode::Options field by field; -1 and empty lists mean none. */
export interface ResolvedGenerateOptions {
  promptLength: number;
  maxLength: number;
  minLength: number;
  minNewTokens: number;
  numBeams: number;
  numReturnSequences: number;
  doSample: boolean;
  earlyStopping: 'false' | 'true' | 'never';
  lengthPenalty: number;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  topH: number;
  typicalP: number;
  epsilonCutoff: number;
  etaCutoff: number;
  hasMinP: boolean;
  hasTopH: boolean;
  repetitionPenalty: number;
  noRepeatNgramSize: number;
  badWordsIds: number[][];
  sequenceBias: { ids: number[]; bias: number }[];
  renormalizeLogits: boolean;
  removeInvalidValues: boolean;
  forcedBosTokenId: number;
  forcedEosTokenIds: number[];
  hasExponentialDecay: boolean;
  decayStart: number;
  decayFactor: number;
  suppressTokens: number[];
  beginSuppressTokens: number[];
  eosTokenIds: number[];
  padTokenId: number;
  stopStrings: string[];
  /** Seconds; 0 is no limit. */
  maxTimeSeconds: number;
  seed: bigint;
  outputScores: boolean;
  // Not part of decode::Options:
  outputCrossAttentions: boolean;
  interpolatePosEncoding: boolean;
  /** One per image, all of length promptLength. */
  prompts: number[][];
}

export function resolveGenerateOptions(request: ResolveRequest): ResolvedGenerateOptions {
  const { config, batchSize } = request;
  const merged = mergeOptions(request.call, request.model, config.vocabSize);
  checkCombinations(merged);
  const prompts = buildPrompts({
    decoderInputIds: merged.get('decoderInputIds'),
    decoderStartTokenId: merged.get('decoderStartTokenId'),
    bosTokenId: merged.get('bosTokenId'),
    batchSize,
    encoderModelType: config.encoderModelType,
  });
  const promptLength = prompts[0]?.length ?? 1;
  return {
    prompts,
    promptLength,
    ...lengths(merged, promptLength, config.maxPositions),
    ...strategy(merged),
    ...warpers(merged),
    ...processors(merged),
    ...tokens(merged),
    ...stopping(merged),
    seed: seedOf(merged.get('seed')),
    outputScores: merged.get('outputScores'),
    outputCrossAttentions: merged.get('outputCrossAttentions'),
    interpolatePosEncoding: merged.get('interpolatePosEncoding'),
  };
}

const listOf = <T>(value: T | readonly T[] | null): T[] =>
  value === null ? [] : Array.isArray(value) ? [...(value as readonly T[])] : [value as T];

const DEFAULT_NEW_TOKENS = 20;

function lengths(merged: Merged, promptLength: number, maxPositions: number | undefined) {
  const maxNewTokens = merged.get<number | null>('maxNewTokens');
  const given = merged.get<number | null>('maxLength');
  const name = maxNewTokens !== null || given === null ? 'maxNewTokens' : 'maxLength';
  let maxLength = given ?? DEFAULT_NEW_TOKENS + promptLength;
  if (maxNewTokens !== null) maxLength = maxNewTokens + promptLength;
  // The last id is never fed back, so it needs no position.
  const limit = maxPositions === undefined ? Infinity : maxPositions + 1;
  if (maxLength > limit) {
    if (merged.sourceOf(name) === 'call') {
      const shown = `at most ${limit} ids (${maxPositions} decoder positions, prompt of ${promptLength})`;
      throw outOfRange(name, shown, `${maxLength} ids`);
    }
    maxLength = limit;
  }
  if (promptLength > (maxPositions ?? Infinity)) {
    throw outOfRange('decoderInputIds', `at most ${maxPositions} ids per prompt`, promptLength);
  }
  if (maxLength <= promptLength) {
    throw outOfRange(name, `more than the ${promptLength} ids of the decoder prompt`, maxLength);
  }
  const minNewTokens = merged.get<number | null>('minNewTokens');
  const minLength = minNewTokens === null ? merged.get<number>('minLength') : minNewTokens + promptLength;
  return { maxLength, minLength, minNewTokens: minNewTokens ?? 0 };
}

function strategy(merged: Merged) {
  return {
    numBeams: merged.get<number>('numBeams'),
    numReturnSequences: merged.get<number>('numReturnSequences'),
    doSample: merged.get<boolean>('doSample'),
    earlyStopping: String(merged.get('earlyStopping')) as 'false' | 'true' | 'never',
    lengthPenalty: merged.get<number>('lengthPenalty'),
  };
}

function warpers(merged: Merged) {
  const minP = merged.get<number | null>('minP');
  const topH = merged.get<number | null>('topH');
  return {
    temperature: merged.get<number>('temperature'),
    topK: merged.get<number>('topK'),
    topP: merged.get<number>('topP'),
    minP: minP ?? 0,
    hasMinP: minP !== null,
    topH: topH ?? 0,
    hasTopH: topH !== null,
    typicalP: merged.get<number>('typicalP'),
    epsilonCutoff: merged.get<number>('epsilonCutoff'),
    etaCutoff: merged.get<number>('etaCutoff'),
  };
}

function processors(merged: Merged) {
  const decay = merged.get<[number, number] | null>('exponentialDecayLengthPenalty');
  const biases = merged.get<[number[], number][] | null>('sequenceBias') ?? [];
  return {
    repetitionPenalty: merged.get<number>('repetitionPenalty'),
    noRepeatNgramSize: merged.get<number>('noRepeatNgramSize'),
    badWordsIds: (merged.get<number[][] | null>('badWordsIds') ?? []).map((word) => [...word]),
    sequenceBias: biases.map(([ids, bias]) => ({ ids: [...ids], bias })),
    renormalizeLogits: merged.get<boolean>('renormalizeLogits'),
    removeInvalidValues: merged.get<boolean>('removeInvalidValues'),
    hasExponentialDecay: decay !== null,
    decayStart: decay?.[0] ?? 0,
    decayFactor: decay?.[1] ?? 1,
    suppressTokens: listOf(merged.get<number[] | null>('suppressTokens')),
    beginSuppressTokens: listOf(merged.get<number[] | null>('beginSuppressTokens')),
  };
}

function tokens(merged: Merged) {
  const eosTokenIds = listOf(merged.get<number | number[] | null>('eosTokenId'));
  return {
    eosTokenIds,
    padTokenId: merged.get<number | null>('padTokenId') ?? eosTokenIds[0] ?? -1,
    forcedBosTokenId: merged.get<number | null>('forcedBosTokenId') ?? -1,
    forcedEosTokenIds: listOf(merged.get<number | number[] | null>('forcedEosTokenId')),
  };
}

function stopping(merged: Merged) {
  const maxTime = merged.get<number | null>('maxTime');
  return {
    stopStrings: listOf(merged.get<string | string[] | null>('stopStrings')),
    // No time at all still lets one token pass.
    maxTimeSeconds: maxTime === null ? 0 : Math.max(maxTime, 1e-9),
  };
}

function seedOf(seed: number | null): bigint {
  return seed === null ? randomBytes(8).readBigUInt64LE() : BigInt(seed);
}

function checkCombinations(merged: Merged): void {
  const beams = merged.get<number>('numBeams');
  const returned = merged.get<number>('numReturnSequences');
  if (beams === 1 && returned > 1 && !merged.get('doSample')) {
    throw outOfRange('numReturnSequences', '1 with greedy decoding (numBeams 1, doSample false)', returned);
  }
  if (beams > 1 && returned > beams) {
    throw outOfRange('numReturnSequences', `at most numBeams (${beams})`, returned);
  }
  if (merged.get('stopStrings') !== null && merged.get('tokenizer') === null) {
    throw new OptionError(
      'TOKENIZER_MISSING',
      'stopStrings: expected a tokenizer in the options of the call, got none',
    );
  }
  const suppressed = new Set(merged.get<number[] | null>('suppressTokens') ?? []);
  for (const name of ['forcedBosTokenId', 'forcedEosTokenId'] as const) {
    const forced = listOf(merged.get<number | number[] | null>(name));
    if (forced.length > 0 && forced.every((id) => suppressed.has(id))) {
      const message = `${name}: expected an id outside suppressTokens, got ${forced.join(', ')}: nothing could be generated`;
      throw new OptionError('OPTION_CONFLICT', message);
    }
  }
}
