/** DeiT: ViT with a distillation token after the class token. */
import { baseStd, zeros } from '../../spec/init';
import type { EncoderArchitecture } from '../architecture';
import { configClass } from '../config-class';
import { buildViT, VIT_FIELDS, VIT_IGNORABLE } from './vit';

export const DeiTConfig = configClass('deit', VIT_FIELDS);
export type DeiTConfig = InstanceType<typeof DeiTConfig>;

export const deit: EncoderArchitecture<DeiTConfig> = {
  config: DeiTConfig,
  ignorable: VIT_IGNORABLE,
  basePrefix: 'deit.',
  // modeling_deit.py, DeiTPreTrainedModel._init_weights: the tokens and positions of a new model are 0.
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [[/^embeddings\.(cls_token|distillation_token|position_embeddings)$/, zeros]],
  }),
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => buildViT(config, weights, ['cls_token', 'distillation_token']),
};
