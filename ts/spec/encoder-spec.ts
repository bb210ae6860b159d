/** The image's side of a model. C channels, P patch side. */
import type { Linear, Mlp, Norm, NormPosition, TensorRef } from './parts-spec';

/** `branch`: x += norm(f(x)), Swin v2's "res-post-norm". */
export type EncoderNormPosition = NormPosition | 'branch';

/** `gated`: `up` stacks gate and value, and `down` reads act(gate) ⊙ value (SwiGLU). */
export interface EncoderMlp extends Mlp {
  kind: 'plain' | 'gated';
}

/**
 * A bias per head and per distance of two cells of the patch grid (BEiT). The sum of `tables`, each
 * [(2 · gridHeight - 1)(2 · gridWidth - 1) + 3, heads]; the last three rows are for the class token: as query, as key, both.
 * Another grid is reached by bilinear interpolation.
 */
export interface GridBias {
  tables: TensorRef[];
  gridHeight: number;
  gridWidth: number;
}

/**
 * A bias per head and per distance of two cells of a window. `table`: [(2 · side - 1)², heads]. `mlp`: the table is
 * 16 · sigmoid(output(relu(hidden(c)))) of log-spaced distances c in units of `unit` cells (Swin v2).
 */
export type WindowBias =
  { kind: 'table'; table: TensorRef } | { kind: 'mlp'; hidden: Linear; output: Linear; unit: number };

/** `cosine`: cos(q, k) · exp(min(logScale, maxLogScale)) with one logScale per head. */
export type Similarity = { kind: 'dot'; scale: number } | { kind: 'cosine'; logScale: TensorRef; maxLogScale: number };

/**
 * Windows of side² cells, moved by `shift` over the edge; `mask` is added to the score of two cells that are neighbours only
 * because the map was moved. Cells outside the map count as zeros before `qkv`. `smallMap`: where a side of the map is no
 * larger than a window, windows are not moved (`still`, and no side may be smaller) or moved all the same.
 */
export interface WindowSpan {
  kind: 'window';
  side: number;
  shift: number;
  smallMap: 'still' | 'moved';
  mask: number;
  similarity: Similarity;
  bias: WindowBias;
}

/** A unit: the tokens whose numbers are equal modulo the number of tokens divided by `tokens`, `tokens` of them. */
export interface UnitSpan {
  kind: 'unit';
  scale: number;
  tokens: number;
}

/** Who sees whom. */
export type AttentionSpan = { kind: 'all'; scale: number; bias: GridBias | null } | WindowSpan | UnitSpan;

/** `qkv` stacks query, key and value, each heads · headDim wide. */
export interface EncoderAttention {
  heads: number;
  headDim: number;
  span: AttentionSpan;
  qkv: Linear;
  output: Linear;
}

/** `attentionScale` and `mlpScale` multiply the output of a branch, channel by channel (layer scale). */
export interface EncoderLayer {
  attention: EncoderAttention;
  attentionNorm: Norm;
  attentionScale: TensorRef | null;
  mlp: EncoderMlp;
  mlpNorm: Norm;
  mlpScale: TensorRef | null;
}

/**
 * Four neighbouring cells become one: the channels of (0, 0), (1, 0), (0, 1) and (1, 1), side by side, through `reduction`; an
 * odd map is padded with zeros. `norm` comes before (`pre`) or after the reduction (`post`).
 */
export interface PatchMerging {
  normPosition: NormPosition;
  norm: Norm;
  reduction: Linear;
}

/**
 * How the first layer of a stage takes over from the stage before, whose width its norm and `qkv` read. The residual is
 * `projection` of the normed input. Of poolHeight · poolWidth cells, residual and queries keep the largest value of each channel.
 */
export interface StageEntry {
  projection: Linear;
  poolHeight: number;
  poolWidth: number;
}

/** Between two stages stands either a merging or an entry. */
export interface EncoderStage {
  width: number;
  entry: StageEntry | null;
  layers: EncoderLayer[];
  merging: PatchMerging | null;
}

/**
 * Learned positions: a table [prefix + gridHeight · gridWidth + suffix, width] for the first `prefix` prefix tokens, the patches and
 * the first `suffix` suffix tokens. Another grid is reached by bicubic interpolation, with antialiasing or without.
 */
export interface GridPositions {
  kind: 'grid';
  table: TensorRef;
  prefix: number;
  suffix: number;
  gridHeight: number;
  gridWidth: number;
  resample: 'bicubic' | 'bicubicAntialias';
}

/**
 * Queries and keys of patches are turned in every layer, by angles 2π · c · base^(-4j / headDim) for j < headDim / 4 and the row, then
 * the column c of the patch's centre, both from -1 to 1 over the image; the first half of a head turns with the second.
 */
export interface RotaryPositions {
  kind: 'rotary';
  base: number;
}

/**
 * Computed: a patch's row holds the sines, then the cosines of its column, then both of its row, each at width / 4 angles
 * c · base^(-4j / width) of the whole number c.
 */
export interface WavePositions {
  kind: 'waves';
  base: number;
}

export type EncoderPositions = GridPositions | RotaryPositions | WavePositions | { kind: 'none' };

/** `count` learned tokens in one tensor. */
export interface LearnedTokens {
  tensor: TensorRef;
  count: number;
}

/**
 * Where patches lie. Side by side: pixels that do not fill one are dropped (`drop`) or filled up with zeros (`pad`). `overlap`: one
 * per stride, from `-pad` on, with zeros around the image; there must be as many as the image has whole strides.
 */
export type PatchTiling =
  | { kind: 'drop' | 'pad' }
  | { kind: 'overlap'; strideHeight: number; strideWidth: number; padHeight: number; padWidth: number };

/**
 * Cells are not in row-major order: those at one place of all blocks of strideHeight × strideWidth come together, and the blocks are
 * ordered in the same way, `levels` times. Tokens that are pooled then lie a fixed distance apart.
 */
export interface UnrolledCells {
  levels: number;
  strideHeight: number;
  strideWidth: number;
}

export interface PatchEmbedding {
  channels: number;
  imageHeight: number;
  imageWidth: number;
  patchHeight: number;
  patchWidth: number;
  tiling: PatchTiling;
  /** Null: row-major. */
  cellOrder: UnrolledCells | null;
  projection: Linear;
  /** Of the patches alone, before anything is added. */
  patchNorm: Norm | null;
  /** Put before the patches. */
  prefixTokens: LearnedTokens[];
  /** Put behind the patches. */
  suffixTokens: LearnedTokens[];
  positions: EncoderPositions;
  /** Of the whole sequence, positions included. */
  norm: Norm | null;
}

export interface EncoderSpec {
  /** Of the last stage. */
  hiddenSize: number;
  embedding: PatchEmbedding;
  normPosition: EncoderNormPosition;
  /** One for a plain transformer. */
  stages: EncoderStage[];
  /** A table per layer but the first, one behind the other in one tensor: added to the states before the layer. */
  layerPositions: GridPositions | null;
  finalNorm: Norm | null;
  /** Where transformers records hidden states. */
  statesAfter: 'layer' | 'stage';
}
