/**
 * The model as plain data: what TypeScript hands to the native core, which knows nothing of Hugging Face names.
 * Its twin is `native/spec/model_spec.h`; an echo test keeps the two equal.
 * Shapes: H hidden size, V vocabulary, C channels, P patch side. Linear maps compute `y = x Wᵀ + b`.
 */
import type { DecoderSpec } from './decoder-spec';
import type { EncoderSpec } from './encoder-spec';
import type { Linear } from './parts-spec';

export type * from './decoder-spec';
export type * from './encoder-spec';
export type * from './parts-spec';

export interface ModelSpec {
  encoder: EncoderSpec;
  /** enc_to_dec_proj */
  projection: Linear | null;
  decoder: DecoderSpec;
}
