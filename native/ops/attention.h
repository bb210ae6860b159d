// The two attention forms of an encoder-decoder. Softmax statistics are float32; no [T, T] matrix is kept in memory.
#pragma once
#include <cstdint>

#include "core/compute_type.h"
#include "ops/window_index.h"

namespace ved::ops {

// An additive bias by the distance of two cells of a grid, one table per head; see relativeIndex() for the order. The
// tokens are `prefix` (0 or 1) class tokens and the cells, row-major; the class token has three biases of its own.
struct RelativeBias {
  const float* table = nullptr;    // [heads, (2 gridH - 1) * (2 gridW - 1)]
  const float* classes = nullptr;  // [heads, 3]: as query, as key, both; nullptr without a prefix
  int64_t gridH = 0, gridW = 0, prefix = 0;
};

// Self-attention of an encoder: out = softmax(scale * Q K^T + bias) V per (batch, unit, head). A unit are the tokens of
// an image whose numbers are equal modulo `units`. With a pool, query t is the largest, element by element, of those of
// the tokens t + g * tokens / pool for g < pool.
struct EncoderAttentionArgs {
  const float* qkv;  // [batch * tokens, 3 * heads * headDim]: q, k, v side by side, heads are consecutive slices
  float* out;        // [batch * tokens / pool, heads * headDim]
  int64_t batch;
  int64_t tokens;
  int64_t heads;
  int64_t headDim;
  float scale;  // >= 0
  const RelativeBias* bias = nullptr;
  // BFloat16, Int8: queries, keys, values and softmax weights may be rounded to bfloat16 before their products;
  // Float16: to float16.
  ComputeType type = ComputeType::Float32;
  int64_t units = 1, pool = 1;  // both 1 with a bias; units * pool divides tokens
  Element qkvElement = Element::Float32, outElement = Element::Float32;  // 16 bits: rows are storedWidth() apart
};

// Self-attention inside the windows of a map: out = softmax(similarity + bias + mask) V per (batch, window, head), with
// the windows of window_index.h. Cells outside the map have `padding` as their q, k and v and are never written.
// Dot: scale[h] * (q . k). Cosine: scale[h] * (q . k) / (max(|q|, 1e-12) max(|k|, 1e-12)).
enum class Similarity : uint8_t { Dot, Cosine };
struct WindowAttentionArgs {
  const float* qkv;      // [batch * height * width, 3 * heads * headDim]
  const float* padding;  // [3 * heads * headDim]
  float* out;            // [batch * height * width, heads * headDim]
  int64_t batch;
  WindowMap map;
  int64_t heads;
  int64_t headDim;
  Similarity similarity;
  const float* scale;                       // [heads]
  RelativeBias bias;                        // gridH = gridW = map.side, prefix 0
  float mask;                               // added to the score of two cells of different regions
  ComputeType type = ComputeType::Float32;  // as in EncoderAttentionArgs
  Element qkvElement = Element::Float32, outElement = Element::Float32;
};

// Elements of a key/value cache. In 16 bits keys and values are rounded when they are written; all arithmetic on them
// is float32.
using CacheType = Element;

constexpr int64_t cacheElementBytes(CacheType type) { return elementBytes(type); }

// Attention of single query tokens over a slot cache. Self-attention: every token names a row of `slots`, which says
// for each position in which cache slot its key lies (the ancestry table: beams share prefixes by index, no cache is
// ever copied). Cross-attention: slots == nullptr and slotOfToken names the image's slot directly.
struct CachedAttentionArgs {
  const float* q;  // [tokens, heads * headDim], row stride ldq
  int64_t ldq;
  const void* keys;    // [slots, heads, capacity, headDim] of cacheType
  const void* values;  // same layout
  int64_t capacity;    // positions per (slot, head)
  float* out;          // [tokens, heads * headDim], row stride ldo
  int64_t ldo;
  int64_t tokens;
  int64_t heads;
  int64_t headDim;
  float scale;
  const int32_t* slotOfToken;                   // [tokens]: row of `slots` (self) or the slot itself (cross)
  const int32_t* lengthOfToken;                 // [tokens]: number of visible positions, 1..capacity
  const int32_t* slots;                         // [rows, capacity] ancestry table, or nullptr for cross-attention
  const uint8_t* const* maskOfToken = nullptr;  // [tokens] pointers to [length] flags (0 = hidden) or nullptr entries
  float* probabilities = nullptr;               // optional [tokens, heads, capacity] attention weights for output
  CacheType cacheType = CacheType::Float32;
  Element outElement = Element::Float32;
};

// Self-attention of a decoder with predicting streams, whose scores add what a query says of the bucket of distances
// that a key falls into. The rows of `qkv` and `relative` are the main stream's tokens, then those of each predicting
// stream.
//   main row t:      keys p < length[t] at distance length[t] - 1 - p
//   stream s, row t: keys p < length[t] - s and key 0 at distance length[t] - p, and its own key in bucket 0
// A main row reads its own `relative`, that of stream s for head h is the one of head h2 of row t2 of stream s2.
// Of the n tokens of a sequence that run together t is the i-th and t2 the i2-th, from 0:
//   (i2 * streams + s2) * heads + h2 = (s * heads + h) * n + i
// That is how transformers 5.18 orders them (modeling_prophetnet.py, get_predict_relative_pos_embeddings); with one
// token at a time it is the row itself.
struct NgramAttentionArgs {
  CachedAttentionArgs main;         // q = qkv, ldq = 3 * heads * headDim, no probabilities; out of all rows, [.., ldo]
  const float* relative;            // [(1 + streams) * tokens, buckets * heads]: column bucket * heads + head
  const int32_t* bucketOfDistance;  // [distances], more than main.capacity
  const int32_t* firstOfRun;        // [tokens]: the first of the tokens that run together
  const int32_t* lengthOfRun;       // [tokens]: n
  int64_t streams, buckets, distances;
};

// The row and head of `relative` for head h of row t of stream s (-1: main).
struct RelativeSource {
  int64_t row, head;
};
VED_HOST_DEVICE inline RelativeSource relativeSource(const NgramAttentionArgs& a, int64_t s, int64_t t, int64_t h) {
  if (s < 0) return {t, h};
  const int64_t first = a.firstOfRun[t], flat = (s * a.main.heads + h) * a.lengthOfRun[t] + t - first;
  const int64_t stream = flat / a.main.heads % a.streams, token = flat / a.main.heads / a.streams;
  return {(1 + stream) * a.main.tokens + first + token, flat % a.main.heads};
}

// Copies freshly projected keys and values into the cache: keys[slot, h, position, :] = kv[t, h * headDim ...].
struct WriteCacheArgs {
  const float* k;  // [tokens, heads * headDim], row stride ldk
  const float* v;
  int64_t ldk;
  int64_t ldv;
  void* keys;  // [slots, heads, capacity, headDim] of cacheType
  void* values;
  int64_t capacity;
  int64_t tokens;
  int64_t heads;
  int64_t headDim;
  const int32_t* slotOfToken;      // [tokens] destination slot
  const int32_t* positionOfToken;  // [tokens]
  CacheType cacheType = CacheType::Float32;
};

}  // namespace ved::ops
