// Full self-attention of an encoder, with or without a relative bias.
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
  __device__ __forceinline__ float* out(int64_t item, int64_t token) const {
    return to + (item * tokens + token) * width;
  }
  __device__ __forceinline__ float score(int64_t head, int64_t, int64_t query, int64_t key, float dot, float,
                                         float) const {
    if (!kBias) return dot * scale;
    return dot * scale + relativeBias(bias, head, query, key);
  }
};

template <bool kBias>
Status run(Context& c, const ops::EncoderAttentionArgs& a) {
  const ImageView<kBias> view = {
      a.qkv, a.out, a.tokens, a.heads * a.headDim, a.scale, 0.0f, kBias ? *a.bias : ops::RelativeBias{}};
  return launchAttention(c, view, {a.batch, a.tokens, a.heads, a.headDim}, "encoder_attention");
}

}  // namespace

Status encoderAttention(Context& c, const ops::EncoderAttentionArgs& a) {
  return a.bias ? run<true>(c, a) : run<false>(c, a);
}

}  // namespace ved::cuda
