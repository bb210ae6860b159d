/** Checks a whole spec against its tensors, knowing nothing of the architecture that wrote it. */
import { equal } from './checks';
import type * as m from './model-spec';
import { DecoderValidator } from './validate-decoder';
import { EncoderValidator } from './validate-encoder';
import { PartsValidator } from './validate-parts';

/** Throws unless every reference, shape and number of the spec is consistent. */
export function validateModelSpec({ encoder, projection, decoder }: m.ModelSpec, source: m.ModelSource): void {
  const parts = new PartsValidator(source);
  new EncoderValidator(parts).validate(encoder);
  new DecoderValidator(parts).validate(decoder);
  const width = projection ? projection.out : encoder.hiddenSize;
  if (projection) parts.linear(projection, 'projection', encoder.hiddenSize, decoder.hiddenSize);
  equal(decoder.crossWidth, width, 'decoder.crossWidth');
}
