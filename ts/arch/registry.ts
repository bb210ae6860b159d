/** Every architecture this package loads: one line each. */
import { UnsupportedError } from '../errors';
import type { DecoderArchitecture, EncoderArchitecture } from './architecture';
import { show } from './config-class';
import { bart } from './decoders/bart';
import { bert } from './decoders/bert';
import { gpt2 } from './decoders/gpt2';
import { mbart } from './decoders/mbart';
import { camembert, roberta, xlmRoberta } from './decoders/roberta';
import { trocr } from './decoders/trocr';
import { clipVision } from './encoders/clip-vision';
import { deit } from './encoders/deit';
import { dinov2, dinov2WithRegisters } from './encoders/dinov2';
import { siglipVision } from './encoders/siglip-vision';
import { vit } from './encoders/vit';
import { vitMSN } from './encoders/vit-msn';

type Registry<A> = Readonly<Record<string, A>>;

export const encoders = {
  vit,
  deit,
  vit_msn: vitMSN,
  clip_vision_model: clipVision,
  siglip_vision_model: siglipVision,
  dinov2,
  dinov2_with_registers: dinov2WithRegisters,
} as unknown as Registry<EncoderArchitecture>;
export const decoders = {
  ...{ bart, bert, camembert, gpt2, mbart, roberta, trocr },
  'xlm-roberta': xlmRoberta,
} as unknown as Registry<DecoderArchitecture>;

export const encoderFor = (modelType: string) => lookUp(encoders, modelType, 'encoder.model_type');
export const decoderFor = (modelType: string) => lookUp(decoders, modelType, 'decoder.model_type');

function lookUp<A>(registry: Registry<A>, modelType: string, key: string): A {
  const found = Object.hasOwn(registry, modelType) ? registry[modelType] : undefined;
  if (found) return found;
  const known = Object.keys(registry).join(', ');
  throw new UnsupportedError(
    'UNSUPPORTED_ARCHITECTURE',
    `config ${key}: expected one of ${known}, got ${show(modelType)}`,
  );
}
