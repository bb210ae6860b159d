/** I-JEPA: ViT without a class token. */
import { baseStd, truncatedNormal } from '../../spec/init';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { VIT_FIELDS } from './parts';
import { buildViT, VIT_IGNORABLE } from './vit';

const FIELDS = {
  ...VIT_FIELDS,
  qkvBias: is.flag(true),
  poolerOutputSize: is.hidden(is.optionalSize()),
  poolerAct: is.hidden(is.text('tanh')),
} satisfies is.Fields;

export const IJepaConfig = is.configClass('ijepa', FIELDS);
export type IJepaConfig = InstanceType<typeof IJepaConfig>;

export const ijepa: EncoderArchitecture<IJepaConfig> = {
  config: IJepaConfig,
  ignorable: VIT_IGNORABLE,
  basePrefix: 'ijepa.',
  // modeling_ijepa.py, IJepaPreTrainedModel._init_weights: every linear map and convolution is cut at ±2.
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [
      [
        /(position_embeddings|projection\.weight|query\.weight|key\.weight|value\.weight|dense\.weight)$/,
        truncatedNormal(initializerRange),
      ],
    ],
  }),
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => buildViT(config, weights, []),
};
