/** Everything public. Nothing else is. */
export { VisionEncoderDecoderModel, type StreamedToken } from './model';
export type { ForwardInputs, ForwardOutput } from './model/forward';
export type {
  FinishReason,
  GenerateOptions,
  GenerateOutput,
  LogitsProcessor,
  StoppingCriterion,
} from './model/generate';
export type { DType, LoadOptions, LoadProgress, Tensor } from './model/inputs';
export type { CreateOptions, FromPartsOptions } from './model/load';
export type { SaveOptions } from './model/save';
export { GenerationConfig } from './generation/generation-config';
export { VisionEncoderDecoderConfig } from './arch/vision-encoder-decoder';
export { AutoImageProcessor } from './image/auto';
export type { ImageBackend } from './image/settings';
export type { ImageInput } from './image/types';
export { ImageProcessor } from './image/processor';
export {
  ConfigError,
  DeviceError,
  DisposedError,
  HubError,
  ImageError,
  OptionError,
  OutOfMemoryError,
  UnsupportedError,
  VedError,
  WeightsError,
} from './errors';
export {
  BartConfig,
  BertConfig,
  BertGenerationConfig,
  BigBirdConfig,
  BigBirdPegasusConfig,
  BlenderbotConfig,
  BlenderbotSmallConfig,
  CamembertConfig,
  Data2VecTextConfig,
  DeiTConfig,
  DistilBertConfig,
  ElectraConfig,
  ErnieConfig,
  GPT2Config,
  MarianConfig,
  MBartConfig,
  MvpConfig,
  PegasusConfig,
  PLBartConfig,
  ProphetNetConfig,
  RemBertConfig,
  RobertaConfig,
  RobertaPreLayerNormConfig,
  RoCBertConfig,
  RoFormerConfig,
  TrOCRConfig,
  ViTConfig,
  XGLMConfig,
  XLMRobertaConfig,
  XLMRobertaXLConfig,
  XmodConfig,
} from './arch/config';
export type { DecoderConfig, EncoderConfig } from './arch/config';
export {
  pipeline,
  type ImageToTextPipeline,
  type PipelineOptions,
  type ReadOptions,
  type ReadOutcome,
  type ReadPiece,
  type ReadResult,
  type ReadToken,
} from './pipeline';
export { AutoTokenizer } from './text/auto';
export type { Tokenizer } from './text/tokenizer';
export type { PostProcess } from './pipeline/post-process';
export { postProcessMangaOcr } from './text/manga-ocr';
export { postProcessNougat, type NougatTextOptions } from './text/nougat';
export { nougatStoppingCriterion, type NougatStoppingOptions } from './text/nougat-stopping';
export { token2json, type TokenJson } from './text/token2json';
