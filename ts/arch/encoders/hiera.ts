/** Hiera: overlapping patches, attention in mask units at first, stages entered by pooled queries. */
import { imageMisfit } from '../../spec/image-fit';
import { constant, truncatedNormal, type InitRules } from '../../spec/init';
import type { AttentionSpan, EncoderLayer, EncoderSpec, EncoderStage, PatchEmbedding } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { headWidth, type EncoderArchitecture } from '../architecture';
import * as is from '../config-class';
import { area, checkStages, grid, HieraConfig, hiddenSize, widthOf } from './hiera-config';
import { barePatches, plainMlp } from './parts';

function build(config: HieraConfig, weights: WeightScope): EncoderSpec {
  checkStages(config);
  const encoder: EncoderSpec = {
    hiddenSize: hiddenSize(config),
    embedding: buildEmbedding(config, weights.scope('embeddings.')),
    normPosition: 'pre',
    stages: config.depths.map((_, stage) => buildStage(config, weights.scope(`encoder.stages.${stage}.`), stage)),
    layerPositions: null,
    finalNorm: null,
    statesAfter: 'stage',
  };
  const misfit = imageMisfit(encoder, ...config.imageSize);
  if (misfit) is.refuse('encoder.image_size', misfit, config.imageSize, 'transformers cannot run it');
  return encoder;
}

function buildEmbedding(config: HieraConfig, weights: WeightScope): PatchEmbedding {
  const { embedDim, patchStride, patchPadding, queryStride, depths } = config;
  const [gridHeight, gridWidth] = grid(config);
  const table = weights.take('position_embeddings', [1, gridHeight * gridWidth, embedDim]);
  return {
    ...barePatches(config, weights, embedDim, 'patch_embeddings.projection'),
    tiling: {
      kind: 'overlap',
      ...{ strideHeight: patchStride[0], strideWidth: patchStride[1] },
      ...{ padHeight: patchPadding[0], padWidth: patchPadding[1] },
    },
    cellOrder:
      depths.length > 1
        ? { levels: depths.length - 1, strideHeight: queryStride[0], strideWidth: queryStride[1] }
        : null,
    positions: { kind: 'grid', table, prefix: 0, suffix: 0, gridHeight, gridWidth, resample: 'bicubic' },
  };
}

function buildStage(config: HieraConfig, weights: WeightScope, stage: number): EncoderStage {
  const width = widthOf(config, stage);
  const pools = stage > 0 && stage <= config.numQueryPool;
  const [poolHeight, poolWidth] = pools ? config.queryStride : [1, 1];
  const before = widthOf(config, stage - 1);
  const entry =
    stage > 0 ? { projection: weights.linear('layers.0.proj', before, width), poolHeight, poolWidth } : null;
  const layers = Array.from({ length: config.depths[stage]! }, (_, index) => {
    const first = index === 0;
    const span = spanOf(config, stage, first, first ? poolHeight * poolWidth : 1);
    return buildLayer(config, weights.scope(`layers.${index}.`), stage, first && entry ? before : width, span);
  });
  return { width, entry, layers, merging: null };
}

/** A stage's first layer still sees the mask units of the stage before (HieraStage). */
function spanOf(config: HieraConfig, stage: number, first: boolean, pool: number): AttentionSpan {
  const { maskedUnitAttention: masked, maskedUnitSize, queryStride } = config;
  const heads = config.numHeads[stage]!;
  const scale = headWidth(widthOf(config, stage), heads, 'encoder.num_heads') ** -0.5;
  if (!masked[stage] && !(first && masked[Math.max(stage - 1, 0)])) return { kind: 'all', scale, bias: null };
  const tokens = pool * Math.trunc(area(maskedUnitSize) / area(queryStride) ** stage);
  if (tokens < 1) is.refuse('encoder.masked_unit_size', 'a unit in every stage', maskedUnitSize, 'no token is left');
  return { kind: 'unit', scale, tokens };
}

function buildLayer(
  config: HieraConfig,
  weights: WeightScope,
  stage: number,
  read: number,
  span: AttentionSpan,
): EncoderLayer {
  const { layerNormEps: eps, mlpRatio } = config;
  const [width, heads] = [widthOf(config, stage), config.numHeads[stage]!];
  return {
    attention: {
      ...{ heads, headDim: width / heads, span },
      qkv: weights.linear('attn.qkv', read, 3 * width),
      output: weights.linear('attn.proj', width, width),
    },
    attentionNorm: weights.norm('layernorm_before', read, eps),
    attentionScale: null,
    mlp: plainMlp(config, weights, ['mlp.fc1', 'mlp.fc2'], width, Math.trunc(width * mlpRatio)),
    mlpNorm: weights.norm('layernorm_after', width, eps),
    mlpScale: null,
  };
}

/** modeling_hiera.py, HieraPreTrainedModel._init_weights: biases, those of norms too, start at initializer_range. */
function init({ initializerRange: range, layerNormInit }: HieraConfig): InitRules {
  const special = [
    [/\.bias$/, constant(range)],
    [/\.layernorm_(before|after)\.weight$/, constant(layerNormInit)],
    [/(\.weight|position_embeddings)$/, truncatedNormal(range)],
  ] as const;
  return { std: range, special };
}

export const hiera: EncoderArchitecture<HieraConfig> = {
  config: HieraConfig,
  ignorable: [/^pooler\.layernorm\.(weight|bias)$/],
  basePrefix: 'hiera.',
  init,
  // transformers takes the table for a square one when it resizes it.
  imageSizes: (config) => (grid(config)[0] === grid(config)[1] ? 'exact' : 'fixed'),
  hiddenSize,
  build,
};
