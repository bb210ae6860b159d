/** Every architecture this package loads: one line each. */
import { UnsupportedError } from '../errors';
import type { DecoderArchitecture, EncoderArchitecture } from './architecture';
import { show } from './config-class';
import { bart, mvp, plbart } from './decoders/bart';
import { bert, bigBird, ernie } from './decoders/bert';
import { bertGeneration } from './decoders/bert-generation';
import { bigbirdPegasus } from './decoders/bigbird-pegasus';
import { blenderbot, blenderbotSmall } from './decoders/blenderbot';
import { distilbert } from './decoders/distilbert';
import { electra } from './decoders/electra';
import { gpt2 } from './decoders/gpt2';
import { mbart } from './decoders/mbart';
import { marian, pegasus } from './decoders/pegasus';
import { prophetnet } from './decoders/prophetnet';
import { rembert } from './decoders/rembert';
import { rocBert } from './decoders/roc-bert';
import { roformer } from './decoders/roformer';
import { camembert, data2vecText, roberta, robertaPreLayerNorm, xlmRoberta, xlmRobertaXl } from './decoders/roberta';
import { trocr } from './decoders/trocr';
import { xglm } from './decoders/xglm';
import { xmod } from './decoders/xmod';
import { aimv2Vision } from './encoders/aimv2-vision';
import { beit, data2vecVision } from './encoders/beit';
import { clipVision } from './encoders/clip-vision';
import { deit } from './encoders/deit';
import { dinov2, dinov2WithRegisters } from './encoders/dinov2';
import { dinov3ViT } from './encoders/dinov3-vit';
import { hiera } from './encoders/hiera';
import { ijepa } from './encoders/ijepa';
import { siglipVision } from './encoders/siglip-vision';
import { donutSwin, swin } from './encoders/swin';
import { swinv2 } from './encoders/swinv2';
import { vit } from './encoders/vit';
import { vitMSN } from './encoders/vit-msn';
import { yolos } from './encoders/yolos';

type Registry<A> = Readonly<Record<string, A>>;

export const encoders = {
  vit,
  deit,
  vit_msn: vitMSN,
  yolos,
  clip_vision_model: clipVision,
  siglip_vision_model: siglipVision,
  aimv2_vision_model: aimv2Vision,
  dinov2,
  dinov2_with_registers: dinov2WithRegisters,
  dinov3_vit: dinov3ViT,
  ijepa,
  beit,
  'data2vec-vision': data2vecVision,
  swin,
  'donut-swin': donutSwin,
  swinv2,
  hiera,
} as unknown as Registry<EncoderArchitecture>;
export const decoders = {
  ...{ bart, bert, blenderbot, camembert, distilbert, electra, ernie, gpt2, marian, mbart, mvp, pegasus, plbart },
  ...{ prophetnet, rembert, roberta, roformer, trocr, xglm, xmod },
  'bert-generation': bertGeneration,
  big_bird: bigBird,
  bigbird_pegasus: bigbirdPegasus,
  'blenderbot-small': blenderbotSmall,
  'data2vec-text': data2vecText,
  'roberta-prelayernorm': robertaPreLayerNorm,
  roc_bert: rocBert,
  'xlm-roberta': xlmRoberta,
  'xlm-roberta-xl': xlmRobertaXl,
} as unknown as Registry<DecoderArchitecture>;

/** Encoders that transformers accepts, or its users try, and why they do not load here. */
export const refusedEncoders: Readonly<Record<string, string>> = {
  aimv2: 'it has two towers; its vision tower is aimv2_vision_model',
  clip: 'it has two towers; its vision tower is clip_vision_model',
  siglip: 'it has two towers; its vision tower is siglip_vision_model',
  siglip2_vision_model: 'it needs the sizes of each image, which a decoder cannot pass on',
  swin2sr: 'transformers cannot run it in front of a decoder',
  vit_mae: 'it hides three quarters of the patches at random, also in evaluation',
  layoutlmv3: 'it reads words and boxes besides pixels',
};

/** Decoders of transformers that stay out, and why. */
export const refusedDecoders: Readonly<Record<string, string>> = {
  biogpt: 'it has no cross-attention, so that the image would be ignored',
  gpt_bigcode: "cross-attention fails in transformers' class",
  'megatron-bert': "cross-attention fails in transformers' class",
  musicgen: 'it writes audio codes',
  musicgen_melody: 'it writes audio codes',
  'openai-gpt': 'it has no cross-attention',
  opt: 'it has no cross-attention',
};

export const encoderFor = (modelType: string) => lookUp(encoders, modelType, 'encoder.model_type', refusedEncoders);
export const decoderFor = (modelType: string) => lookUp(decoders, modelType, 'decoder.model_type', refusedDecoders);

function lookUp<A>(
  registry: Registry<A>,
  modelType: string,
  key: string,
  refused: Readonly<Record<string, string>> = {},
): A {
  const found = Object.hasOwn(registry, modelType) ? registry[modelType] : undefined;
  if (found) return found;
  const reason = Object.hasOwn(refused, modelType) ? `: ${refused[modelType]}` : '';
  const known = Object.keys(registry).join(', ');
  throw new UnsupportedError(
    'UNSUPPORTED_ARCHITECTURE',
    `config ${key}: expected one of ${known}, got ${show(modelType)}${reason}`,
  );
}
