/** The text's side of a model. H hidden size, V vocabulary. */
import type { Activation, Linear, Mlp, Norm, NormPosition, TensorRef } from './parts-spec';

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
