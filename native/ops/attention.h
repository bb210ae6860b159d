// The two attention forms of an encoder-decoder. Softmax statistics are float32; no [T, T] matrix is kept in memory.
#pragma once
#include <cstdint>

namespace ved::ops {

// Full self-attention of an encoder: out = softmax(scale * Q K^T) V per (batch, head).
struct EncoderAttentionArgs {
  const float* qkv;  // [batch * tokens, 3 * heads * headDim]: q, k, v side by side, heads are consecutive slices
  float* out;        // [batch * tokens, heads * headDim]
  int64_t batch;
  int64_t tokens;
  int64_t heads;
  int64_t headDim;
  float scale;
};

// Attention of single query tokens over a slot cache. Self-attention: every token names a row of `slots`, which says
// for each position in which cache slot its key lies (the ancestry table: beams share prefixes by index, no cache is
// ever copied). Cross-attention: slots == nullptr and slotOfToken names the image's slot directly.
struct CachedAttentionArgs {
  const float* q;  // [tokens, heads * headDim], row stride ldq
  int64_t ldq;
  const float* keys;    // [slots, heads, capacity, headDim]
  const float* values;  // same layout
  int64_t capacity;     // positions per (slot, head)
  float* out;           // [tokens, heads * headDim], row stride ldo
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
};

// Copies freshly projected keys and values into the cache: keys[slot, h, position, :] = kv[t, h * headDim ...].
struct WriteCacheArgs {
  const float* k;  // [tokens, heads * headDim], row stride ldk
  const float* v;
  int64_t ldk;
  int64_t ldv;
  float* keys;  // [slots, heads, capacity, headDim]
  float* values;
  int64_t capacity;
  int64_t tokens;
  int64_t heads;
  int64_t headDim;
  const int32_t* slotOfToken;      // [tokens] destination slot
  const int32_t* positionOfToken;  // [tokens]
};

}  // namespace ved::ops
