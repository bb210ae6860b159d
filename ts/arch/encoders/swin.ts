/** Swin and DonutSwin, which is Swin without the final norm (Donut, Nougat). */
import { baseStd, zeros, type InitRules } from '../../spec/init';
import type { WindowSpan } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { gridPositions } from './parts';
import {
  buildSwin,
  SWIN_FIELDS,
  SWIN_IGNORABLE,
  swinHiddenSize,
  type BlockPlace,
  type SwinLike,
  type SwinVariant,
} from './swin-parts';

export const SwinConfig = is.configClass('swin', { ...SWIN_FIELDS, encoderStride: is.size(32) });
export type SwinConfig = InstanceType<typeof SwinConfig>;
export const DonutSwinConfig = is.configClass('donut-swin', SWIN_FIELDS);
export type DonutSwinConfig = InstanceType<typeof DonutSwinConfig>;

function variant({ windowSize: side }: SwinLike, finalNorm: boolean): SwinVariant {
  const span = ({ heads, headDim, shift }: BlockPlace, weights: WeightScope): WindowSpan => ({
    kind: 'window',
    ...{ side, shift, smallMap: 'still', mask: -100 },
    similarity: { kind: 'dot', scale: headDim ** -0.5 },
    bias: { kind: 'table', table: weights.take('relative_position_bias_table', [(2 * side - 1) ** 2, heads]) },
  });
  return { normPosition: 'pre', mergingNorm: 'pre', keyBias: true, finalNorm, span };
}

/** modeling_swin.py, SwinPreTrainedModel._init_weights. */
function init({ initializerRange }: SwinLike): InitRules {
  const special = [[/(position_embeddings|relative_position_bias_table)$/, zeros]] as const;
  return { std: baseStd(initializerRange), special };
}

export const swin: EncoderArchitecture<SwinConfig> = {
  config: SwinConfig,
  ignorable: SWIN_IGNORABLE,
  basePrefix: 'swin.',
  init,
  imageSizes: ({ useAbsoluteEmbeddings }) => (useAbsoluteEmbeddings ? 'exact' : 'adaptive'),
  hiddenSize: swinHiddenSize,
  build: (config, weights) =>
    buildSwin(config, weights, variant(config, true), (embeddings) =>
      config.useAbsoluteEmbeddings
        ? gridPositions(config, embeddings, config.embedDim, 'position_embeddings', 0)
        : { kind: 'none' },
    ),
};

export const donutSwin: EncoderArchitecture<DonutSwinConfig> = {
  config: DonutSwinConfig,
  ignorable: SWIN_IGNORABLE,
  basePrefix: 'donut.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: swinHiddenSize,
  build: (config, weights) => buildSwin(config, weights, variant(config, false)),
};
