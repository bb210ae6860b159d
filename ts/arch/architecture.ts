/** What the registry holds per architecture. */
import { ConfigError } from '../errors';
import type { DecoderSpec, EncoderSpec } from '../spec/model-spec';
import type { WeightScope } from '../spec/weights';
import type { BaseConfig } from './config-class';

interface Architecture<C extends BaseConfig> {
  readonly config: { readonly modelType: string; fromJSON(json: object): C };
  /** Tensors that may be left over, by their name below `encoder.` or `decoder.`. */
  readonly ignorable: readonly RegExp[];
  hiddenSize(config: C): number;
}

export interface EncoderArchitecture<C extends BaseConfig = BaseConfig> extends Architecture<C> {
  /** `exact`: another size than the configured one only with interpolatePosEncoding; `adaptive`: any size. */
  readonly imageSizes: 'exact' | 'adaptive';
  build(config: C, weights: WeightScope): EncoderSpec;
}

export interface DecoderArchitecture<C extends BaseConfig = BaseConfig> extends Architecture<C> {
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
