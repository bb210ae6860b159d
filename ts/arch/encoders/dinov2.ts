/** DINOv2, with registers and without: layer scale, optional SwiGLU, positions that follow the image. */
import { baseStd, constant, truncatedNormal, zeros, type InitRules } from '../../spec/init';
import type { EncoderLayer, EncoderMlp, EncoderSpec, GridPositions } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import type { EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import {
  barePatches,
  fullAttention,
  gridPositions,
  plainEncoder,
  plainMlp,
  plainStage,
  VIT_ATTENTION,
  VIT_FIELDS,
} from './parts';

const { intermediateSize: _, ...COMMON } = VIT_FIELDS;
const FIELDS = {
  ...COMMON,
  mlpRatio: is.number(4, 0, 1024),
  layerNormEps: is.between(1e-6, 0, 1),
  qkvBias: is.flag(true),
  layerscaleValue: is.between(1, 0, 1e6),
  dropPathRate: is.between(0, 0, 1),
  useSwigluFfn: is.flag(false),
} satisfies is.Fields;

export const Dinov2Config = is.configClass('dinov2', {
  ...FIELDS,
  patchSize: is.sides(14),
  useMaskToken: is.flag(true),
});
export type Dinov2Config = InstanceType<typeof Dinov2Config>;

export const Dinov2WithRegistersConfig = is.configClass('dinov2_with_registers', {
  ...FIELDS,
  numRegisterTokens: is.count(4),
});
export type Dinov2WithRegistersConfig = InstanceType<typeof Dinov2WithRegistersConfig>;

type Config = is.Values<typeof FIELDS>;

function build(
  config: Config,
  weights: WeightScope,
  registers: number,
  resample: GridPositions['resample'],
): EncoderSpec {
  const { hiddenSize: hidden, numHiddenLayers: depth } = config;
  const e = weights.scope('embeddings.');
  const classToken = { tensor: e.take('cls_token', [1, 1, hidden]), count: 1 };
  const registerTokens = {
    tensor: registers ? e.take('register_tokens', [1, registers, hidden]) : -1,
    count: registers,
  };
  const embedding = {
    ...barePatches(config, e, hidden, 'patch_embeddings.projection'),
    // Registers join after the positions were added.
    prefixTokens: registers ? [classToken, registerTokens] : [classToken],
    positions: { ...gridPositions(config, e, hidden, 'position_embeddings', 1), resample },
  };
  const layer = (index: number) => buildLayer(config, weights.scope(`encoder.layer.${index}.`));
  const finalNorm = weights.norm('layernorm', hidden, config.layerNormEps);
  return plainEncoder(hidden, embedding, plainStage(hidden, depth, layer), finalNorm);
}

function buildLayer(config: Config, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, layerNormEps: eps, qkvBias } = config;
  const biased = { query: qkvBias, key: qkvBias, value: qkvBias };
  return {
    attention: fullAttention(config, weights, VIT_ATTENTION, biased),
    attentionNorm: weights.norm('norm1', hidden, eps),
    attentionScale: weights.take('layer_scale1.lambda1', [hidden]),
    mlp: config.useSwigluFfn ? swiglu(config, weights) : mlp(config, weights),
    mlpNorm: weights.norm('norm2', hidden, eps),
    mlpScale: weights.take('layer_scale2.lambda1', [hidden]),
  };
}

const mlp = (config: Config, weights: WeightScope) =>
  plainMlp(config, weights, ['mlp.fc1', 'mlp.fc2'], config.hiddenSize, Math.trunc(config.hiddenSize * config.mlpRatio));

/** Two thirds of the configured width, rounded up to a multiple of 8; the gate is always SiLU (Dinov2SwiGLUFFN). */
function swiglu({ hiddenSize: hidden, mlpRatio }: Config, weights: WeightScope): EncoderMlp {
  const inner = Math.floor((Math.trunc((Math.trunc(hidden * mlpRatio) * 2) / 3) + 7) / 8) * 8;
  return {
    kind: 'gated',
    up: weights.linear('mlp.weights_in', hidden, 2 * inner),
    activation: 'silu',
    down: weights.linear('mlp.weights_out', inner, hidden),
  };
}

/** modeling_dinov2.py and modeling_dinov2_with_registers.py, _init_weights. */
function init({ initializerRange: range, layerscaleValue }: Config): InitRules {
  const special = [
    [/^embeddings\.(cls_token|position_embeddings)$/, truncatedNormal(range)],
    [/^embeddings\.register_tokens$/, zeros],
    [/\.layer_scale[12]\.lambda1$/, constant(layerscaleValue)],
    [/(projection|query|key|value|dense|fc1|fc2|weights_in|weights_out)\.weight$/, truncatedNormal(range)],
  ] as const;
  return { std: baseStd(range), special };
}

export const dinov2: EncoderArchitecture<Dinov2Config> = {
  config: Dinov2Config,
  ignorable: [/^embeddings\.mask_token$/],
  basePrefix: 'dinov2.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => build(config, weights, 0, 'bicubic'),
};

export const dinov2WithRegisters: EncoderArchitecture<Dinov2WithRegistersConfig> = {
  config: Dinov2WithRegistersConfig,
  ignorable: [/^embeddings\.mask_token$/],
  basePrefix: 'dinov2_with_registers.',
  init,
  imageSizes: () => 'adaptive',
  hiddenSize: (config) => config.hiddenSize,
  build: (config, weights) => build(config, weights, config.numRegisterTokens, 'bicubicAntialias'),
};
