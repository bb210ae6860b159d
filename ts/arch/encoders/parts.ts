/** What the plain vision transformers have in common. */
import type {
  EncoderAttention,
  EncoderLayer,
  EncoderMlp,
  EncoderSpec,
  EncoderStage,
  GridBias,
  GridPositions,
  PatchEmbedding,
} from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth } from '../architecture';
import * as is from '../config-class';

/** Keys every encoder of square patches has. */
export interface PatchConfig {
  readonly imageSize: number | readonly [number, number];
  readonly patchSize: number | readonly [number, number];
  readonly numChannels: number;
}

function pair(sides: number | readonly [number, number]): readonly [number, number] {
  return typeof sides === 'number' ? [sides, sides] : sides;
}

/** Sizes in pixels and in patches; patches that do not fit are dropped. */
export function patchSizes(config: PatchConfig) {
  const [imageHeight, imageWidth] = pair(config.imageSize);
  const [patchHeight, patchWidth] = pair(config.patchSize);
  const gridHeight = Math.floor(imageHeight / patchHeight);
  const gridWidth = Math.floor(imageWidth / patchWidth);
  return { channels: config.numChannels, imageHeight, imageWidth, patchHeight, patchWidth, gridHeight, gridWidth };
}

/** The patches of an image as they leave the projection, without tokens, positions or norms. */
export function barePatches(
  config: PatchConfig,
  weights: WeightScope,
  width: number,
  name: string,
  bias = true,
): PatchEmbedding {
  const { channels, imageHeight, imageWidth, patchHeight, patchWidth } = patchSizes(config);
  const kernel = [channels, patchHeight, patchWidth];
  return {
    ...{ channels, imageHeight, imageWidth, patchHeight, patchWidth },
    tiling: { kind: 'drop' },
    cellOrder: null,
    projection: weights.linear(name, channels * patchHeight * patchWidth, width, bias, kernel),
    patchNorm: null,
    prefixTokens: [],
    suffixTokens: [],
    positions: { kind: 'none' },
    norm: null,
  };
}

/** A position table for `prefix` tokens, the configured grid and `suffix` more; `lead` are leading sides of its shape. */
export function gridPositions(
  config: PatchConfig,
  weights: WeightScope,
  width: number,
  name: string,
  prefix: number,
  lead: readonly number[] = [1],
  suffix = 0,
): GridPositions {
  const { gridHeight, gridWidth } = patchSizes(config);
  const table = weights.take(name, [...lead, prefix + gridHeight * gridWidth + suffix, width]);
  return { kind: 'grid', table, prefix, suffix, gridHeight, gridWidth, resample: 'bicubic' };
}

export interface AttentionNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
}
export const VIT_ATTENTION: AttentionNames = {
  query: 'attention.attention.query',
  key: 'attention.attention.key',
  value: 'attention.attention.value',
  output: 'attention.output.dense',
};
export const CLIP_ATTENTION: AttentionNames = {
  query: 'self_attn.q_proj',
  key: 'self_attn.k_proj',
  value: 'self_attn.v_proj',
  output: 'self_attn.out_proj',
};

export interface HeadConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly headDim?: number | null;
}

/** Attention of every token to every token, scaled by the root of the head's width. */
export function fullAttention(
  config: HeadConfig,
  weights: WeightScope,
  names: AttentionNames,
  biased: { readonly query: boolean; readonly key: boolean; readonly value: boolean; readonly output?: boolean },
  bias: GridBias | null = null,
): EncoderAttention {
  const { hiddenSize: hidden, numAttentionHeads: heads } = config;
  const headDim = config.headDim ?? headWidth(hidden, heads, 'num_attention_heads');
  const project = (part: 'query' | 'key' | 'value') =>
    weights.linear(names[part], hidden, heads * headDim, biased[part]);
  return {
    ...{ heads, headDim },
    span: { kind: 'all', scale: headDim ** -0.5, bias },
    qkv: stack(project('query'), project('key'), project('value')),
    output: weights.linear(names.output, heads * headDim, hidden, biased.output ?? true),
  };
}

/** Two linear maps around the activation `config.hidden_act` names. */
export function plainMlp(
  config: { readonly hiddenAct: string },
  weights: WeightScope,
  [up, down]: readonly [string, string],
  hidden: number,
  inner: number,
  bias = true,
): EncoderMlp {
  return {
    kind: 'plain',
    up: weights.linear(up, hidden, inner, bias),
    activation: activation(config.hiddenAct, 'encoder.hidden_act'),
    down: weights.linear(down, inner, hidden, bias),
  };
}

/** The one stage of a plain transformer. */
export function plainStage(width: number, depth: number, layer: (index: number) => EncoderLayer): EncoderStage[] {
  return [{ width, entry: null, layers: Array.from({ length: depth }, (_, index) => layer(index)), merging: null }];
}

/** A layer of CLIP's layout: both norms, `self_attn` and `mlp.fc1`, `mlp.fc2`, every map with a bias. */
export function clipLayer(config: ClipLike, weights: WeightScope): EncoderLayer {
  const { hiddenSize: hidden, intermediateSize: inner, layerNormEps: eps } = config;
  return {
    attention: fullAttention(config, weights, CLIP_ATTENTION, { query: true, key: true, value: true }),
    attentionNorm: weights.norm('layer_norm1', hidden, eps),
    attentionScale: null,
    mlp: plainMlp(config, weights, ['mlp.fc1', 'mlp.fc2'], hidden, inner),
    mlpNorm: weights.norm('layer_norm2', hidden, eps),
    mlpScale: null,
  };
}

export interface ClipLike extends HeadConfig, PatchConfig {
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly hiddenAct: string;
  readonly layerNormEps: number;
}

/** Transformers 4 wrote `vision_model.` before the names of a vision tower, transformers 5 writes nothing. */
export function visionModel(weights: WeightScope, probe: string): WeightScope {
  return weights.has(`vision_model.${probe}`) ? weights.storedBelow('vision_model.') : weights;
}

/** Pre-norm layers in one stage; what is left of a plain encoder once its embedding is known. */
export function plainEncoder(
  hiddenSize: number,
  embedding: PatchEmbedding,
  stages: EncoderStage[],
  finalNorm: EncoderSpec['finalNorm'],
): EncoderSpec {
  const fixed = { normPosition: 'pre', layerPositions: null, statesAfter: 'layer' } as const;
  return { hiddenSize, embedding, stages, finalNorm, ...fixed };
}

/** Config keys of the ViT family, with ViT's own defaults. */
export const VIT_FIELDS = {
  hiddenSize: is.size(768),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(12),
  intermediateSize: is.size(3072),
  hiddenAct: is.text('gelu'),
  hiddenDropoutProb: is.between(0, 0, 1),
  attentionProbsDropoutProb: is.between(0, 0, 1),
  initializerRange: is.between(0.02, 0, 1e6),
  layerNormEps: is.between(1e-12, 0, 1),
  imageSize: is.sides(224),
  patchSize: is.sides(16),
  numChannels: is.size(3, 4096),
} satisfies is.Fields;
