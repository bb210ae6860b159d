// Self-attention of an encoder: of whole images with or without a relative bias, on tensor cores in 16 bits, else in
// float32; or of units with pooled queries, in float32.
#include "ops/cuda/kernels/attention16.cuh"

namespace ved::cuda {
namespace {

struct ImageView {
  static constexpr bool kNorms = false;
  const float* qkv;
  float* to;
  int64_t tokens, width;
  float scale, unused;
  ops::RelativeBias bias;  // table nullptr: none

  __device__ __forceinline__ const float* row(int64_t item, int64_t token) const {
    return qkv + (item * tokens + token) * 3 * width;
  }
  __device__ __forceinline__ float query(int64_t item, int64_t token, int64_t column) const {
    return row(item, token)[column];
  }
  __device__ __forceinline__ float* out(int64_t item, int64_t token) const {
    return to + (item * tokens + token) * width;
  }
  __device__ __forceinline__ float score(int64_t head, int64_t, int64_t query, int64_t key, float dot, float,
                                         float) const {
    return bias.table ? dot * scale + relativeBias(bias, head, query, key) : dot * scale;
  }
};

// An item is a unit of an image: every units-th token.
struct UnitView {
  static constexpr bool kNorms = false;
  const float* qkv;
  float* to;
  int64_t tokens, units, pool, width;
  float scale, unused;

  __device__ __forceinline__ const float* row(int64_t item, int64_t token) const {
    return qkv + (item / units * tokens + token * units + item % units) * 3 * width;
  }
  __device__ __forceinline__ float query(int64_t item, int64_t token, int64_t column) const {
    const float* first = row(item, token) + column;
    float largest = first[0];
    for (int64_t g = 1; g < pool; ++g) {
      const float value = first[g * (tokens / pool) * 3 * width];
      if (value > largest || value != value) largest = value;
    }
    return largest;
  }
  __device__ __forceinline__ float* out(int64_t item, int64_t token) const {
    return to + (item / units * (tokens / pool) + token * units + item % units) * width;
  }
  __device__ __forceinline__ float score(int64_t, int64_t, int64_t, int64_t, float dot, float, float) const {
    return dot * scale;
  }
};

struct PlainImage16 {
  static constexpr int kWords = 0;
  float scale, unused;

  __device__ __forceinline__ void prepare(int64_t, int, int, int64_t, const AttentionRows&, int, int32_t*) const {}
  __device__ __forceinline__ int64_t row(int64_t item, int token, int tokens, const int32_t*) const {
    return item * tokens + token;
  }
  __device__ __forceinline__ float score(int64_t, int, int, float dot, const int32_t*, int) const {
    return dot * scale;
  }
};

struct BiasedImage16 {
  static constexpr int kWords = 1;
  float scale, unused;
  ops::RelativeBias bias;

  __device__ __forceinline__ void prepare(int64_t, int token, int, int64_t, const AttentionRows&, int,
                                          int32_t* table) const {
    table[token] = biasPlace(bias, token);
  }
  __device__ __forceinline__ int64_t row(int64_t item, int token, int tokens, const int32_t*) const {
    return item * tokens + token;
  }
  __device__ __forceinline__ float score(int64_t head, int query, int key, float dot, const int32_t* table, int) const {
    return dot * scale + biasOfPlaces(bias, head, table[query], table[key]);
  }
};

template <class T>
void runPlain(Context& c, const PlainImage16& view, const AttentionRows& rows, const AttentionShape& shape) {
  if (shape.headDim <= 32)
    launchAttention16<T, 32>(c, view, rows, shape);
  else if (shape.headDim <= 64)
    launchAttention16<T, 64>(c, view, rows, shape);
  else if (shape.headDim <= 80)
    launchAttention16<T, 80>(c, view, rows, shape);
  else if (shape.headDim <= 96)
    launchAttention16<T, 96>(c, view, rows, shape);
  else
    launchAttention16<T, 128>(c, view, rows, shape);
}

// BEiT's heads have 64 dimensions.
template <class T>
void runBiased(Context& c, const BiasedImage16& view, const AttentionRows& rows, const AttentionShape& shape) {
  shape.headDim <= 64 ? launchAttention16<T, 64>(c, view, rows, shape)
                      : launchAttention16<T, 128>(c, view, rows, shape);
}

template <class T>
void run16(Context& c, const ops::EncoderAttentionArgs& a) {
  const AttentionRows rows = attentionRows(a.qkv, a.qkvElement, nullptr, a.out, a.outElement, a.heads * a.headDim);
  const AttentionShape shape = {a.batch, a.tokens, a.tokens, a.heads, a.headDim};
  a.bias ? runBiased<T>(c, {a.scale, 0.0f, *a.bias}, rows, shape) : runPlain<T>(c, {a.scale, 0.0f}, rows, shape);
}

}  // namespace

Status encoderAttention(Context& c, const ops::EncoderAttentionArgs& a) {
  const bool whole = a.units * a.pool == 1;
  if (whole && usesTensorCores(a.type, a.headDim)) {
    if (a.batch * a.tokens > 0) a.type == ComputeType::Float16 ? run16<Half>(c, a) : run16<Brain>(c, a);
    return launched(c, "encoder_attention");
  }
  if (a.qkvElement != Element::Float32 || a.outElement != Element::Float32)
    return rejected(c, "encoder_attention: 16-bit rows are for whole images and heads of at most 128 dimensions");
  if (!whole) {
    const int64_t tokens = a.tokens / a.units;
    const UnitView view = {a.qkv, a.out, a.tokens, a.units, a.pool, a.heads * a.headDim, a.scale, 0.0f};
    return launchAttention(c, view, {a.batch * a.units, tokens / a.pool, tokens, a.heads, a.headDim},
                           "encoder_attention");
  }
  const ImageView view = {
      a.qkv, a.out, a.tokens, a.heads * a.headDim, a.scale, 0.0f, a.bias ? *a.bias : ops::RelativeBias{}};
  return launchAttention(c, view, {a.batch, a.tokens, a.tokens, a.heads, a.headDim}, "encoder_attention");
}

}  // namespace ved::cuda
