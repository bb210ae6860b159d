/**
 * The model as plain data: what TypeScript hands to the native core, which knows nothing of Hugging Face names.
 * Its twin is `native/spec/model_spec.h`; an echo test keeps the two equal.
 * Shapes: H hidden size, V vocabulary, C channels, P patch side. Linear maps compute `y = x Wᵀ + b`.
 */
import type { NewTensor } from './init';

/** Index into {@link ModelSource.tensors}. */
export type TensorRef = number;

/** What every place has in common; data is row-major and contiguous. */
interface TensorHeader {
  name: string;
  byteLength: number;
  dtype: 'F32' | 'F16' | 'BF16';
  shape: number[];
}

/** A range of a file. `file` indexes {@link ModelSource.files}. */
export interface TensorInFile extends TensorHeader {
  kind: 'file';
  file: number;
  offset: number;
}

/** A whole tensor in memory, float32. `buffer` indexes {@link ModelSource.created}. */
export interface TensorInMemory extends TensorHeader {
  kind: 'memory';
  buffer: number;
}

/** Where a tensor comes from, and where saving takes it from. */
export type TensorPlace = TensorInFile | TensorInMemory;

export interface ModelSource {
  files: { path: string; size: number; mtimeMs: number }[];
  tensors: TensorPlace[];
  /** Tensors that no file holds: drawn when the model is loaded, then kept in memory. */
  created: NewTensor[];
}

/** A block of rows of a linear map: `weight` is [out, in] (`outIn`) or [in, out] (`inOut`, GPT-2's Conv1D). */
export interface LinearPart {
  weight: TensorRef;
  bias: TensorRef | null;
  layout: 'outIn' | 'inOut';
  out: number;
}

/** Parts are stacked along the output axis: separate q, k and v become one map. */
export interface Linear {
  in: number;
  out: number;
  parts: LinearPart[];
}

/** `layer`: (x - mean) / √(variance + eps) · weight + bias. `rms`: x / √(mean of x² + eps) · weight. */
export type Norm =
  { kind: 'layer'; weight: TensorRef; bias: TensorRef; eps: number } | { kind: 'rms'; weight: TensorRef; eps: number };

export type Activation =
  | 'identity'
  | 'gelu'
  | 'geluTanh'
  | 'quickGelu'
  | 'relu'
  | 'relu2'
  | 'relu6'
  | 'leakyRelu'
  | 'silu'
  | 'sigmoid'
  | 'tanh'
  | 'mish';

export interface Mlp {
  up: Linear;
  activation: Activation;
  down: Linear;
}

/** `qkv` stacks query, key and value, each heads · headDim wide. */
export interface SelfAttention {
  heads: number;
  headDim: number;
  scale: number;
  qkv: Linear;
  /** With {@link NgramStreams}: what a query adds to the score of a key in each bucket of distances, [buckets · heads]. */
  relative: Linear | null;
  output: Linear;
}

/** `kv` maps the encoder's output to keys and values, stacked. */
export interface CrossAttention {
  heads: number;
  headDim: number;
  scale: number;
  query: Linear;
  kv: Linear;
  output: Linear;
}

/** A decoder block's first attention. `image`: like its second, it reads the encoder's output (BigBird in transformers). */
export type TextAttention = ({ reads: 'text' } & SelfAttention) | ({ reads: 'image' } & CrossAttention);

/** `pre`: x += f(norm(x)); `post`: x = norm(x + f(x)). */
export type NormPosition = 'pre' | 'post';

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

/**
 * Which row of a position table a token reads. `sequential`: position + offset. `nonPad`: a pad token reads row padTokenId,
 * the others count from padTokenId + 1, where every cached position counts.
 */
export type PositionIds = { kind: 'sequential'; offset: number } | { kind: 'nonPad'; padTokenId: number };

/**
 * `table`: [rows, width] in the checkpoint. `sinusoidal`: computed, sines in the first half of a row, `zeroRow` all zero.
 * `rotary`: nothing is added to the token; in every layer the pairs (2d, 2d + 1) of each head's query and key, or of its value
 * too, are turned, with the sines and cosines in the two halves of a row of `table`, [rows, headDim].
 */
export type DecoderPositions =
  | { kind: 'table'; table: TensorRef; rows: number; ids: PositionIds }
  | { kind: 'sinusoidal'; rows: number; zeroRow: number; ids: PositionIds }
  | { kind: 'rotary'; table: TensorRef; rows: number; turns: 'keys' | 'keysAndValues'; ids: PositionIds };

/** A table [rows, width] whose first row is added to every token: the token type of a text that is one segment. */
export interface ConstantRow {
  table: TensorRef;
  rows: number;
}

/** A token's row, with the first row of each of `beside` next to it, through `map` to the same width. */
export interface TokenMap {
  /** Tables [rows, width]. */
  beside: { table: TensorRef; rows: number; width: number }[];
  map: Linear;
}

/**
 * projection(norm(tokenNorm(tokenMap(scale · table[id])) + positions[position id] + constants)); what is null or empty is left
 * out.
 */
export interface DecoderEmbedding {
  /** [V, width] */
  table: TensorRef;
  width: number;
  scale: number;
  tokenMap: TokenMap | null;
  tokenNorm: Norm | null;
  positions: DecoderPositions;
  constants: ConstantRow[];
  norm: Norm | null;
  /** From `width` to the hidden size. */
  projection: Linear | null;
}

/** What a hidden state passes before the output head: norm(activation(dense x)). */
export interface HeadTransform {
  dense: Linear;
  activation: Activation;
  norm: Norm;
}

/** Behind the perceptron's sum x: y = norm(x); x = y + mlp(y) (`normed`) or x + mlp(y) (`plain`). */
export interface Adapter {
  norm: Norm | null;
  residual: 'plain' | 'normed';
  mlp: Mlp;
}

export interface DecoderLayer {
  selfAttention: TextAttention;
  selfNorm: Norm;
  crossAttention: CrossAttention;
  crossNorm: Norm;
  mlp: Mlp;
  adapter: Adapter | null;
  mlpNorm: Norm;
}

/**
 * ProphetNet. Besides the tokens' own stream, `count` predicting ones run through the layers; the states of the first go to the
 * head. Stream s begins a token with row (s + count - 1) mod `count` of `table`, [count, H], and with the row of the position table
 * behind the token's. It sees the keys of the main stream but for the last s, and its own. Distances fall into `buckets`: one each
 * up to buckets / 2, then logarithmically up to `maxDistance`.
 */
export interface NgramStreams {
  count: number;
  table: TensorRef;
  buckets: number;
  maxDistance: number;
}

export interface DecoderSpec {
  hiddenSize: number;
  vocabSize: number;
  /** Longest sequence, prompt included, that the position table holds. */
  maxPositions: number;
  /** Width of the encoder states that cross-attention reads. */
  crossWidth: number;
  streams: NgramStreams | null;
  embedding: DecoderEmbedding;
  normPosition: NormPosition;
  layers: DecoderLayer[];
  finalNorm: Norm | null;
  headTransform: HeadTransform | null;
  head: Linear;
}

export interface ModelSpec {
  encoder: EncoderSpec;
  /** enc_to_dec_proj */
  projection: Linear | null;
  decoder: DecoderSpec;
}
