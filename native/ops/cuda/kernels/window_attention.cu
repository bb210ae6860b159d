// Attention inside the windows of a map: partition, shift, mask and bias are index arithmetic (ops/window_index.h).
#include "ops/cuda/kernels/attention16.cuh"

namespace ved::cuda {
namespace {

struct WindowView {
  static constexpr bool kNorms = true;
  const float *qkv, *padding;
  float* to;
  ops::WindowMap map;
  int64_t windows, width;
  const float* scale;
  ops::RelativeBias bias;
  float mask;
  int32_t cosine;

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
    if (cosine) similarity = scale[head] * (dot / (fmaxf(sqrtf(qq), 1e-12f) * fmaxf(sqrtf(kk), 1e-12f)));
    if (bias.table) similarity += relativeBias(bias, head, query, key);
    const int64_t window = item % windows;
    return ops::windowRegion(map, window, query) == ops::windowRegion(map, window, key) ? similarity
                                                                                        : similarity + mask;
  }
};

// Per cell: its row, its place in the bias table, its region, and for cosine similarity 1 / |k| and 1 / |q|.
struct Window16 {
  static constexpr int kWords = 5;
  ops::WindowMap map;
  int64_t windows;
  const float* scale;
  ops::RelativeBias bias;
  float mask;
  int32_t cosine;

  __device__ __forceinline__ static float inverseNorm(const AttentionRows& rows, int64_t row, int64_t column, int dim) {
    float squares = 0.0f;
    for (int d = 0; d < dim; ++d) {
      const float v = loadFeature(rows, row, column + d);
      squares = fmaf(v, v, squares);
    }
    return 1.0f / fmaxf(sqrtf(squares), 1e-12f);
  }
  __device__ __forceinline__ void prepare(int64_t item, int cell, int cells, int64_t head, const AttentionRows& rows,
                                          int dim, int32_t* table) const {
    const int64_t window = item % windows, token = ops::windowToken(map, window, cell);
    const int64_t row = token < 0 ? -1 : item / windows * map.height * map.width + token;
    float* norms = reinterpret_cast<float*>(table);
    table[cell] = static_cast<int32_t>(row);
    table[cells + cell] = biasPlace(bias, cell);
    table[2 * cells + cell] = ops::windowRegion(map, window, cell);
    norms[3 * cells + cell] = cosine ? inverseNorm(rows, row, rows.width + head * dim, dim) : 1.0f;
    norms[4 * cells + cell] = cosine ? inverseNorm(rows, row, head * dim, dim) : 1.0f;
  }
  __device__ __forceinline__ int64_t row(int64_t, int cell, int, const int32_t* table) const { return table[cell]; }
  __device__ __forceinline__ float score(int64_t head, int query, int key, float dot, const int32_t* table,
                                         int cells) const {
    const float* norms = reinterpret_cast<const float*>(table);
    float similarity = scale[head] * dot * (norms[4 * cells + query] * norms[3 * cells + key]);
    if (bias.table) similarity += biasOfPlaces(bias, head, table[cells + query], table[cells + key]);
    return table[2 * cells + query] == table[2 * cells + key] ? similarity : similarity + mask;
  }
};

template <class T>
void run16(Context& c, const ops::WindowAttentionArgs& a, int64_t windows) {
  const AttentionRows rows = attentionRows(a.qkv, a.qkvElement, a.padding, a.out, a.outElement, a.heads * a.headDim);
  const AttentionShape shape = {a.batch * windows, a.map.side * a.map.side, a.map.side * a.map.side, a.heads,
                                a.headDim};
  const Window16 view = {a.map, windows, a.scale, a.bias, a.mask, a.similarity == ops::Similarity::Cosine};
  if (a.headDim <= 32)
    launchAttention16<T, 32>(c, view, rows, shape);
  else if (a.headDim <= 64)
    launchAttention16<T, 64>(c, view, rows, shape);
  else
    launchAttention16<T, 128>(c, view, rows, shape);
}

}  // namespace

Status windowAttention(Context& c, const ops::WindowAttentionArgs& a) {
  const int64_t windows = ops::windowCount(a.map), rows = a.batch * a.map.height * a.map.width;
  if (usesTensorCores(a.type, a.headDim) && rows < int64_t{1} << 31) {
    if (rows > 0) a.type == ComputeType::Float16 ? run16<Half>(c, a, windows) : run16<Brain>(c, a, windows);
    return launched(c, "window_attention");
  }
  if (a.qkvElement != Element::Float32 || a.outElement != Element::Float32)
    return rejected(c, "window_attention: 16-bit rows are for heads of at most 128 dimensions");
  const WindowView view = {a.qkv,   a.padding,
                           a.out,   a.map,
                           windows, a.heads * a.headDim,
                           a.scale, a.bias,
                           a.mask,  a.similarity == ops::Similarity::Cosine};
  const int64_t cells = a.map.side * a.map.side;
  return launchAttention(c, view, {a.batch * windows, cells, cells, a.heads, a.headDim}, "window_attention");
}

}  // namespace ved::cuda
