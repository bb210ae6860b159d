/** The config classes, one per architecture. */
import type { BaseConfig } from './config-class';

export { BartConfig, MvpConfig, PLBartConfig } from './decoders/bart';
export { BertConfig, BigBirdConfig, ErnieConfig } from './decoders/bert';
export { BertGenerationConfig } from './decoders/bert-generation';
export { BigBirdPegasusConfig } from './decoders/bigbird-pegasus';
export { BlenderbotConfig, BlenderbotSmallConfig } from './decoders/blenderbot';
export { DistilBertConfig } from './decoders/distilbert';
export { ElectraConfig } from './decoders/electra';
export { GPT2Config } from './decoders/gpt2';
export { MBartConfig } from './decoders/mbart';
export { MarianConfig, PegasusConfig } from './decoders/pegasus';
export { ProphetNetConfig } from './decoders/prophetnet';
export { RemBertConfig } from './decoders/rembert';
export { RoCBertConfig } from './decoders/roc-bert';
export { RoFormerConfig } from './decoders/roformer';
export {
  CamembertConfig,
  Data2VecTextConfig,
  RobertaConfig,
  RobertaPreLayerNormConfig,
  XLMRobertaConfig,
  XLMRobertaXLConfig,
} from './decoders/roberta';
export { TrOCRConfig } from './decoders/trocr';
export { XGLMConfig } from './decoders/xglm';
export { XmodConfig } from './decoders/xmod';
export { Aimv2VisionConfig } from './encoders/aimv2-vision';
export { BeitConfig, Data2VecVisionConfig } from './encoders/beit';
export { CLIPVisionConfig } from './encoders/clip-vision';
export { DeiTConfig } from './encoders/deit';
export { Dinov2Config, Dinov2WithRegistersConfig } from './encoders/dinov2';
export { DINOv3ViTConfig } from './encoders/dinov3-vit';
export { HieraConfig } from './encoders/hiera-config';
export { IJepaConfig } from './encoders/ijepa';
export { SiglipVisionConfig } from './encoders/siglip-vision';
export { DonutSwinConfig, SwinConfig } from './encoders/swin';
export { Swinv2Config } from './encoders/swinv2';
export { ViTConfig } from './encoders/vit';
export { ViTMSNConfig } from './encoders/vit-msn';
export { YolosConfig } from './encoders/yolos';
export { VisionEncoderDecoderConfig } from './vision-encoder-decoder';

/** Any encoder's config. */
export type EncoderConfig = BaseConfig;
/** Any decoder's config. */
export type DecoderConfig = BaseConfig;
