/** Swin v2: cosine attention, a position bias computed from distances, norms at the end of each branch. */
import { baseStd, constant, type InitRules } from '../../spec/init';
import type { WindowSpan } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { patchSizes } from './parts';
import {
  buildSwin,
  SWIN_FIELDS,
  SWIN_IGNORABLE,
  swinHiddenSize,
  type BlockPlace,
  type SwinVariant,
} from './swin-parts';

/** Width of the perceptron that computes biases (modeling_swinv2.py, Swinv2SelfAttention). */
const BIAS_WIDTH = 512;

export const Swinv2Config = is.configClass('swinv2', {
  ...SWIN_FIELDS,
  pretrainedWindowSizes: is.counts([0, 0, 0, 0]),
  encoderStride: is.size(32),
});
export type Swinv2Config = InstanceType<typeof Swinv2Config>;

/** A window is no larger than the map of the configured image, by its height, and then stays where it is. */
function windowOf(config: Swinv2Config, { stage, shift }: BlockPlace): { side: number; shift: number } {
  const rows = Math.floor(patchSizes(config).gridHeight / 2 ** stage);
  const side = Math.min(rows, config.windowSize);
  return { side, shift: rows <= side ? 0 : shift };
}

function variant(config: Swinv2Config): SwinVariant {
  const span = (place: BlockPlace, weights: WeightScope): WindowSpan => {
    const { side, shift } = windowOf(config, place);
    const mlp = weights.scope('continuous_position_bias_mlp.');
    const pretrained = config.pretrainedWindowSizes[place.stage] ?? 0;
    return {
      kind: 'window',
      // transformers adds its mask of -100 twice.
      ...{ side, shift, smallMap: 'moved', mask: -200 },
      similarity: {
        kind: 'cosine',
        logScale: weights.take('logit_scale', [place.heads, 1, 1]),
        maxLogScale: Math.log(100),
      },
      bias: {
        kind: 'mlp',
        hidden: mlp.linear('0', 2, BIAS_WIDTH),
        output: mlp.linear('2', BIAS_WIDTH, place.heads, false),
        unit: pretrained > 0 ? pretrained - 1 : Math.max(side - 1, 1),
      },
    };
  };
  return { normPosition: 'branch', mergingNorm: 'post', keyBias: false, finalNorm: true, span };
}

/** modeling_swinv2.py, Swinv2PreTrainedModel._init_weights. */
function init({ initializerRange }: Swinv2Config): InitRules {
  return { std: baseStd(initializerRange), special: [[/\.logit_scale$/, constant(Math.log(10))]] };
}

export const swinv2: EncoderArchitecture<Swinv2Config> = {
  config: Swinv2Config,
  ignorable: SWIN_IGNORABLE,
  basePrefix: 'swinv2.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: swinHiddenSize,
  build: (config, weights) => buildSwin(config, weights, variant(config)),
};
