/** What the Swin family has in common: stages of windowed layers with merged patches between them. */
import { ConfigError, UnsupportedError } from '../../errors';
import type {
  EncoderAttention,
  EncoderLayer,
  EncoderPositions,
  EncoderSpec,
  EncoderStage,
  PatchMerging,
  WindowSpan,
} from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { headWidth } from '../architecture';
import * as is from '../config-class';
import { barePatches, plainMlp, VIT_FIELDS } from './parts';

/** torch's default; the norms of the embedding and of merged patches ignore layer_norm_eps. */
const TORCH_EPS = 1e-5;

export const SWIN_FIELDS = {
  imageSize: is.sides(224),
  patchSize: is.sides(4),
  numChannels: is.size(3, 4096),
  embedDim: is.size(96),
  depths: is.sizes([2, 2, 6, 2]),
  numHeads: is.sizes([3, 6, 12, 24]),
  windowSize: is.size(7, 256),
  mlpRatio: is.between(4, 0, 1024),
  qkvBias: is.flag(true),
  hiddenDropoutProb: VIT_FIELDS.hiddenDropoutProb,
  attentionProbsDropoutProb: VIT_FIELDS.attentionProbsDropoutProb,
  dropPathRate: is.between(0.1, 0, 1),
  hiddenAct: is.text('gelu'),
  useAbsoluteEmbeddings: is.flag(false),
  initializerRange: VIT_FIELDS.initializerRange,
  layerNormEps: is.between(1e-5, 0, 1),
} satisfies is.Fields;
export type SwinLike = is.Values<typeof SWIN_FIELDS>;

/** Where the members of the family differ. */
export interface SwinVariant {
  readonly normPosition: EncoderSpec['normPosition'];
  readonly mergingNorm: PatchMerging['normPosition'];
  readonly keyBias: boolean;
  readonly finalNorm: boolean;
  span(block: BlockPlace, weights: WeightScope): WindowSpan;
}

export interface BlockPlace {
  readonly stage: number;
  readonly heads: number;
  readonly headDim: number;
  /** Half a window in every second block. */
  readonly shift: number;
}

export const swinHiddenSize = ({ embedDim, depths }: SwinLike): number => embedDim * 2 ** (depths.length - 1);

export function buildSwin(
  config: SwinLike,
  weights: WeightScope,
  variant: SwinVariant,
  positions: (embeddings: WeightScope) => EncoderPositions = refusePositions(config),
): EncoderSpec {
  const { embedDim, depths, numHeads } = config;
  if (numHeads.length < depths.length) {
    const expected = `one number for each of ${depths.length} depths`;
    throw new ConfigError('INVALID_CONFIG', `config encoder.num_heads: expected ${expected}, got ${numHeads.length}`);
  }
  const e = weights.scope('embeddings.');
  const hiddenSize = swinHiddenSize(config);
  return {
    hiddenSize,
    embedding: {
      ...barePatches(config, e, embedDim, 'patch_embeddings.projection'),
      tiling: { kind: 'pad' },
      patchNorm: e.norm('norm', embedDim, TORCH_EPS),
      positions: positions(e),
    },
    normPosition: variant.normPosition,
    stages: depths.map((_, index) => buildStage(config, weights.scope(`encoder.layers.${index}.`), variant, index)),
    layerPositions: null,
    finalNorm: variant.finalNorm ? weights.norm('layernorm', hiddenSize, config.layerNormEps) : null,
    statesAfter: 'stage',
  };
}

/** transformers gives these encoders a table with a row too many, and fails when it is added. */
function refusePositions({ useAbsoluteEmbeddings }: SwinLike): () => EncoderPositions {
  if (!useAbsoluteEmbeddings) return () => ({ kind: 'none' });
  throw new UnsupportedError(
    'UNSUPPORTED_CONFIG',
    'config encoder.use_absolute_embeddings: expected false (transformers cannot run this architecture with it), got true',
  );
}

function buildStage(config: SwinLike, weights: WeightScope, variant: SwinVariant, stage: number): EncoderStage {
  const width = config.embedDim * 2 ** stage;
  const heads = config.numHeads[stage]!;
  const headDim = headWidth(width, heads, 'encoder.num_heads');
  const layers = Array.from({ length: config.depths[stage]! }, (_, block) => {
    const shift = block % 2 ? Math.floor(config.windowSize / 2) : 0;
    return buildLayer(config, weights.scope(`blocks.${block}.`), variant, width, { stage, heads, headDim, shift });
  });
  const last = stage + 1 === config.depths.length;
  return {
    width,
    entry: null,
    layers,
    merging: last ? null : buildMerging(weights.scope('downsample.'), variant, width),
  };
}

function buildMerging(weights: WeightScope, { mergingNorm }: SwinVariant, width: number): PatchMerging {
  return {
    normPosition: mergingNorm,
    norm: weights.norm('norm', (mergingNorm === 'pre' ? 4 : 2) * width, TORCH_EPS),
    reduction: weights.linear('reduction', 4 * width, 2 * width, false),
  };
}

function buildLayer(
  config: SwinLike,
  weights: WeightScope,
  variant: SwinVariant,
  width: number,
  place: BlockPlace,
): EncoderLayer {
  const inner = Math.trunc(config.mlpRatio * width);
  return {
    attention: buildAttention(config, weights.scope('attention.'), variant, width, place),
    attentionNorm: weights.norm('layernorm_before', width, config.layerNormEps),
    attentionScale: null,
    mlp: plainMlp(config, weights, ['intermediate.dense', 'output.dense'], width, inner),
    mlpNorm: weights.norm('layernorm_after', width, config.layerNormEps),
    mlpScale: null,
  };
}

function buildAttention(
  { qkvBias }: SwinLike,
  weights: WeightScope,
  variant: SwinVariant,
  width: number,
  place: BlockPlace,
): EncoderAttention {
  const project = (name: string, bias: boolean) => weights.linear(`self.${name}`, width, width, bias);
  return {
    heads: place.heads,
    headDim: place.headDim,
    span: variant.span(place, weights.scope('self.')),
    qkv: stack(project('query', qkvBias), project('key', qkvBias && variant.keyBias), project('value', qkvBias)),
    output: weights.linear('output.dense', width, width),
  };
}

/** Tables that follow from the window's size, which some versions stored. */
export const SWIN_IGNORABLE = [
  /^embeddings\.mask_token$/,
  /\.attention\.self\.relative_(position_index|coords_table)$/,
];
