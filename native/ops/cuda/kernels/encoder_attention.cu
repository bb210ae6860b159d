// Self-attention of an encoder, of whole images with or without a relative bias, or of units with pooled queries.
#include "ops/cuda/kernels/attention.cuh"

namespace ved::cuda {
namespace {

template <bool kBias>
struct ImageView {
  static constexpr bool kNorms = false;
  const float* qkv;
  float* to;
  int64_t tokens, width;
  float scale, unused;
  ops::RelativeBias bias;

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
    if (!kBias) return dot * scale;
    return dot * scale + relativeBias(bias, head, query, key);
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

template <bool kBias>
Status run(Context& c, const ops::EncoderAttentionArgs& a) {
  const ImageView<kBias> view = {
      a.qkv, a.out, a.tokens, a.heads * a.headDim, a.scale, 0.0f, kBias ? *a.bias : ops::RelativeBias{}};
  return launchAttention(c, view, {a.batch, a.tokens, a.tokens, a.heads, a.headDim}, "encoder_attention");
}

}  // namespace

Status encoderAttention(Context& c, const ops::EncoderAttentionArgs& a) {
  if (a.units * a.pool == 1) return a.bias ? run<true>(c, a) : run<false>(c, a);
  const int64_t tokens = a.tokens / a.units;
  const UnitView view = {a.qkv, a.out, a.tokens, a.units, a.pool, a.heads * a.headDim, a.scale, 0.0f};
  return launchAttention(c, view, {a.batch * a.units, tokens / a.pool, tokens, a.heads, a.headDim},
                         "encoder_attention");
}

}  // namespace ved::cuda
