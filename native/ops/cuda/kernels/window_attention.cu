// Attention inside the windows of a map: partition, shift, mask and bias are index arithmetic (ops/window_index.h).
#include "ops/cuda/kernels/attention.cuh"

namespace ved::cuda {
namespace {

template <bool kCosine>
struct WindowView {
  static constexpr bool kNorms = kCosine;
  const float *qkv, *padding;
  float* to;
  ops::WindowMap map;
  int64_t windows, width;
  const float* scale;
  ops::RelativeBias bias;
  float mask, unused;

  // Row of a window's cell in the map of the whole batch; -1 outside it.
  __device__ __forceinline__ int64_t place(int64_t item, int64_t cell) const {
    const int64_t token = ops::windowToken(map, item % windows, cell);
    return token < 0 ? token : item / windows * map.height * map.width + token;
  }
  __device__ __forceinline__ const float* row(int64_t item, int64_t cell) const {
    const int64_t at = place(item, cell);
    return at < 0 ? padding : qkv + at * 3 * width;
  }
  __device__ __forceinline__ float query(int64_t item, int64_t cell, int64_t column) const {
    return row(item, cell)[column];
  }
  __device__ __forceinline__ float* out(int64_t item, int64_t cell) const {
    const int64_t at = place(item, cell);
    return at < 0 ? nullptr : to + at * width;
  }
  __device__ __forceinline__ float score(int64_t head, int64_t item, int64_t query, int64_t key, float dot, float qq,
                                         float kk) const {
    float similarity = scale[head] * dot;
    if (kCosine) similarity = scale[head] * (dot / (fmaxf(sqrtf(qq), 1e-12f) * fmaxf(sqrtf(kk), 1e-12f)));
    if (bias.table) similarity += relativeBias(bias, head, query, key);
    const int64_t window = item % windows;
    return ops::windowRegion(map, window, query) == ops::windowRegion(map, window, key) ? similarity
                                                                                        : similarity + mask;
  }
};

template <bool kCosine>
Status run(Context& c, const ops::WindowAttentionArgs& a) {
  const int64_t windows = ops::windowCount(a.map);
  const WindowView<kCosine> view = {a.qkv,   a.padding, a.out,  a.map, windows, a.heads * a.headDim,
                                    a.scale, a.bias,    a.mask, 0.0f};
  const int64_t cells = a.map.side * a.map.side;
  return launchAttention(c, view, {a.batch * windows, cells, cells, a.heads, a.headDim}, "window_attention");
}

}  // namespace

Status windowAttention(Context& c, const ops::WindowAttentionArgs& a) {
  return a.similarity == ops::Similarity::Cosine ? run<true>(c, a) : run<false>(c, a);
}

}  // namespace ved::cuda
