/** The table of all generation options: what a value may be, what holds without one, and what this package does with it. */
import * as type from './option-types.js';
import type { ValueType } from './option-types.js';

/**
 * - `used`: implemented.
 * - `inert`: changes nothing here (a performance knob, or a detail of something that is refused), so any value is fine.
 * - `output`: asks for an additional output, or means nothing for images; refused in a call, ignored in a file as it does not
 *   change the ids.
 * - `refused`: only the neutral value is accepted, wherever it comes from.
 */
export type Support = 'used' | 'inert' | 'output' | 'refused';

export interface OptionSpec {
  readonly type: ValueType;
  readonly support: Support;
  /** What holds when nothing sets the option. */
  readonly fallback: unknown;
  /** What an explicit null in a call means: the value without effect. */
  readonly neutral: unknown;
}

const used = (valueType: ValueType, fallback: unknown = null, neutral: unknown = fallback): OptionSpec => ({
  type: valueType,
  support: 'used',
  fallback,
  neutral,
});
const other = (support: Support, neutral: unknown = null): OptionSpec => ({
  type: type.anything,
  support,
  fallback: neutral,
  neutral,
});
const inert = () => other('inert');
const refused = (neutral: unknown = null) => other('refused', neutral);

/** Options that both generation_config.json and a call may hold. */
export const CONFIG_OPTIONS = {
  // length
  maxLength: used(type.int({ min: 1 })),
  maxNewTokens: used(type.int({ min: 1 })),
  minLength: used(type.int({ min: 0 }), 0),
  minNewTokens: used(type.int({ min: 0 })),
  earlyStopping: used(type.earlyStopping, false),
  maxTime: used(type.number({ min: 0 })),
  stopStrings: used(type.strings),
  // strategy
  doSample: used(type.boolean, false),
  numBeams: used(type.int({ min: 1 }), 1),
  numReturnSequences: used(type.int({ min: 1 }), 1),
  // scores
  temperature: used(type.number({ above: 0 }), 1),
  topK: used(type.int({ min: 0 }), 50, 0),
  topP: used(type.number({ min: 0, max: 1 }), 1),
  minP: used(type.number({ min: 0, max: 1 })),
  topH: used(type.number({ above: 0, max: 1 })),
  typicalP: used(type.number({ above: 0, max: 1 }), 1),
  epsilonCutoff: used(type.number({ min: 0, below: 1 }), 0),
  etaCutoff: used(type.number({ min: 0, below: 1 }), 0),
  repetitionPenalty: used(type.number({ above: 0 }), 1),
  lengthPenalty: used(type.number(), 1),
  noRepeatNgramSize: used(type.int({ min: 0 }), 0),
  badWordsIds: used(type.words),
  sequenceBias: used(type.biases),
  renormalizeLogits: used(type.boolean, false),
  removeInvalidValues: used(type.boolean, false),
  forcedBosTokenId: used(type.tokenId),
  forcedEosTokenId: used(type.tokenIdOrList),
  exponentialDecayLengthPenalty: used(type.decay),
  suppressTokens: used(type.tokenIds),
  beginSuppressTokens: used(type.tokenIds),
  // special tokens
  padTokenId: used(type.tokenId),
  bosTokenId: used(type.tokenId),
  eosTokenId: used(type.tokenIdOrList),
  decoderStartTokenId: used(type.tokenIdOrList),
  // outputs
  outputScores: used(type.boolean, false),
  outputAttentions: other('output', false),
  outputHiddenStates: other('output', false),
  outputLogits: other('output', false),
  returnDictInGenerate: inert(),
  // other ways to decode
  // of the encoder's token ids, which an image has none of: transformers ignores them with a warning
  encoderRepetitionPenalty: other('output', 1),
  encoderNoRepeatNgramSize: other('output', 0),
  guidanceScale: refused(1),
  watermarkingConfig: refused(),
  tokenHealing: refused(false),
  forceWordsIds: refused(),
  constraints: refused(),
  penaltyAlpha: refused(0),
  dolaLayers: refused(),
  diversityPenalty: refused(0),
  numBeamGroups: refused(1),
  lowMemory: refused(false),
  promptLookupNumTokens: refused(),
  assistantEarlyExit: refused(),
  assistantEnsembleWeight: refused(),
  isAssistant: refused(false),
  useMtp: refused(false),
  // details of assisted generation, without effect as long as it is off
  numAssistantTokens: inert(),
  numAssistantTokensSchedule: inert(),
  assistantConfidenceThreshold: inert(),
  maxMatchingNgramSize: inert(),
  assistantLookbehind: inert(),
  targetLookbehind: inert(),
  speculationType: inert(),
  // performance
  useCache: inert(),
  cacheImplementation: inert(),
  cacheConfig: inert(),
  maxCacheLen: inert(),
  prefillChunkSize: inert(),
  compileConfig: inert(),
  disableCompile: inert(),
  continuousBatchingConfig: inert(),
} as const satisfies Record<string, OptionSpec>;

/** Options that only a call may hold. */
export const CALL_OPTIONS = {
  decoderInputIds: used(type.prompts),
  interpolatePosEncoding: used(type.boolean, false),
  tokenizer: used(type.object),
  seed: used(type.seedNumber),
  signal: used(type.object),
  outputCrossAttentions: used(type.boolean, false),
  prefixAllowedTokensFn: used(type.callable),
  logitsProcessors: used(type.callables),
  stoppingCriteria: used(type.callables),
  assistantModel: refused(),
  streamer: refused(),
  customGenerate: refused(),
  negativePromptIds: refused(),
  negativePromptAttentionMask: refused(),
} as const satisfies Record<string, OptionSpec>;

export type ConfigOptionName = keyof typeof CONFIG_OPTIONS;
export type OptionName = ConfigOptionName | keyof typeof CALL_OPTIONS;

const ALL: Readonly<Record<string, OptionSpec>> = { ...CONFIG_OPTIONS, ...CALL_OPTIONS };

export const OPTION_NAMES = Object.keys(ALL) as OptionName[];
export const CONFIG_OPTION_NAMES = Object.keys(CONFIG_OPTIONS) as ConfigOptionName[];

export function isConfigOption(name: string): name is ConfigOptionName {
  return Object.hasOwn(CONFIG_OPTIONS, name);
}

export function isOption(name: string): name is OptionName {
  return Object.hasOwn(ALL, name);
}

export function specOf(name: OptionName): OptionSpec {
  return ALL[name]!;
}
