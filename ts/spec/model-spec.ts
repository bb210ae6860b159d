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

export interface Norm {
  weight: TensorRef;
  bias: TensorRef;
  eps: number;
}

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

/** `pre`: x += f(norm(x)); `post`: x = norm(x + f(x)). */
export type NormPosition = 'pre' | 'post';

export interface EncoderLayer {
  attention: SelfAttention;
  attentionNorm: Norm;
  mlp: Mlp;
  mlpNorm: Norm;
}

/** Learned positions: a table [prefix + gridHeight · gridWidth, H]; another grid is reached by bicubic interpolation. */
export interface GridPositions {
  kind: 'grid';
  table: TensorRef;
  prefix: number;
  gridHeight: number;
  gridWidth: number;
}

export interface PatchEmbedding {
  channels: number;
  imageHeight: number;
  imageWidth: number;
  patchHeight: number;
  patchWidth: number;
  projection: Linear;
  /** Learned tokens put before the patches, each of H values. */
  prefixTokens: TensorRef[];
  positions: GridPositions;
}

export interface EncoderSpec {
  hiddenSize: number;
  embedding: PatchEmbedding;
  normPosition: NormPosition;
  layers: EncoderLayer[];
  finalNorm: Norm | null;
}

/**
 * Which row of a position table a token reads. `sequential`: position + offset. `nonPad`: a pad token reads row padTokenId,
 * the others count from padTokenId + 1, where every cached position counts.
 */
export type PositionIds = { kind: 'sequential'; offset: number } | { kind: 'nonPad'; padTokenId: number };

/** `table`: [rows, width] in the checkpoint. `sinusoidal`: computed, sines in the first half of a row, `zeroRow` all zero. */
export type DecoderPositions =
  | { kind: 'table'; table: TensorRef; rows: number; ids: PositionIds }
  | { kind: 'sinusoidal'; rows: number; zeroRow: number; ids: PositionIds };

/** A table [rows, width] whose first row is added to every token: the token type of a text that is one segment. */
export interface ConstantRow {
  table: TensorRef;
  rows: number;
}

/** projection(norm(tokenNorm(scale · table[id]) + positions[position id] + constants)); what is null or empty is left out. */
export interface DecoderEmbedding {
  /** [V, width] */
  table: TensorRef;
  width: number;
  scale: number;
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

export interface DecoderLayer {
  selfAttention: SelfAttention;
  selfNorm: Norm;
  crossAttention: CrossAttention;
  crossNorm: Norm;
  mlp: Mlp;
  mlpNorm: Norm;
}

export interface DecoderSpec {
  hiddenSize: number;
  vocabSize: number;
  /** Longest sequence, prompt included, that the position table holds. */
  maxPositions: number;
  /** Width of the encoder states that cross-attention reads. */
  crossWidth: number;
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
