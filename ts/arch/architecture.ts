/** What the registry holds per architecture. */
import { ConfigError } from '../errors';
import type { InitRules } from '../spec/init';
import type { DecoderSpec, EncoderSpec } from '../spec/model-spec';
import type { WeightScope } from '../spec/weights';
import type { BaseConfig } from './config-class';

interface Architecture<C extends BaseConfig> {
  readonly config: {
    readonly modelType: string;
    fromJSON(json: object): C;
    withOptions(json: object, options: object): C;
  };
  /** Tensors that may be left over, by their name below `encoder.` or `decoder.`. */
  readonly ignorable: readonly RegExp[];
  /**
   * transformers' `base_model_prefix` with its dot: `vit.`, `transformer.`. A checkpoint of the bare model lacks it. An
   * encoder's tensor names here are the bare model's, a decoder's those of the causal language model.
   */
  readonly basePrefix: string;
  hiddenSize(config: C): number;
  /** How tensors that no checkpoint holds start: this architecture's own `_init_weights` in transformers 5. */
  init(config: C): InitRules;
}

/** Sizes beside the configured one: none, any with interpolatePosEncoding, any. */
export type ImageSizes = 'fixed' | 'exact' | 'adaptive';

export interface EncoderArchitecture<C extends BaseConfig = BaseConfig> extends Architecture<C> {
  imageSizes(config: C): ImageSizes;
  build(config: C, weights: WeightScope): EncoderSpec;
}

export interface DecoderArchitecture<C extends BaseConfig = BaseConfig> extends Architecture<C> {
  /**
   * Where this decoder's own tensors lie in a checkpoint of its family, if not everywhere below `basePrefix`: `model.decoder.`
   * in one of a sequence-to-sequence model. What lies outside belongs to other heads and halves and is left alone.
   */
  readonly stem?: string;
  /** The width cross-attention reads when the decoder names one. */
  crossHiddenSize(config: C): number | null;
  build(config: C, weights: WeightScope): DecoderSpec;
}

/** The width of one head; heads must divide the hidden size. */
export function headWidth(hidden: number, heads: number, key: string): number {
  if (hidden % heads === 0) return hidden / heads;
  throw new ConfigError(
    'INVALID_CONFIG',
    `config ${key}: expected a divisor of the hidden size ${hidden}, got ${heads}`,
  );
}

/** The pad token id where the maths depends on it. */
export function requirePad(config: { readonly padTokenId: number | null; readonly vocabSize: number }): number {
  const { padTokenId: pad, vocabSize } = config;
  if (pad !== null && pad >= 0 && pad < vocabSize) return pad;
  const range = `a token id below vocab_size ${vocabSize}`;
  throw new ConfigError('INVALID_CONFIG', `config decoder.pad_token_id: expected ${range}, got ${pad}`);
}
