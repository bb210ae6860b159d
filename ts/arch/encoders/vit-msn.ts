/** ViT-MSN: ViT with another epsilon and without a pooler. */
import { baseStd, zeros } from '../../spec/init';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { VIT_FIELDS } from './parts';
import { buildViT } from './vit';

const FIELDS = {
  ...VIT_FIELDS,
  layerNormEps: is.between(1e-6, 0, 1),
  qkvBias: is.flag(true),
} satisfies is.Fields;

export const ViTMSNConfig = is.configClass('vit_msn', FIELDS);
export type ViTMSNConfig = InstanceType<typeof ViTMSNConfig>;

export const vitMSN: EncoderArchitecture<ViTMSNConfig> = {
  config: ViTMSNConfig,
  ignorable: [/^embeddings\.mask_token$/],
  basePrefix: 'vit.',
  // modeling_vit_msn.py, ViTMSNPreTrainedModel._init_weights
  init: ({ initializerRange }) => ({
    std: baseStd(initializerRange),
    special: [[/^embeddings\.(cls_token|position_embeddings)$/, zeros]],
  }),
  imageSizes: () => 'exact',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => buildViT(config, weights, ['cls_token']),
};
