// Attention over a set of tokens in the online-softmax form: a block takes 16 queries of one head and walks over all
// keys in tiles of 32; no matrix of scores is kept. float32 throughout. What the tokens are, and how a product becomes
// a score, is a View's business:
//   const float* row(item, token) const          q, k and v of all heads of a token of an item (an image, a window,
//   ...) float query(item, query, column) const       of all heads, side by side float* out(item, query) const all
//   heads; nullptr for a query that nobody wants float score(head, item, query, key, dot, qq, kk) const    qq and kk:
//   squared norms, if View::kNorms
#pragma once
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {

constexpr int kAttentionWarps = 4, kQueriesPerWarp = 4, kQueries = kAttentionWarps * kQueriesPerWarp, kKeys = kWarp;

struct AttentionShape {
  int64_t items, queries, tokens, heads, headDim;
};

inline size_t attentionSharedBytes(int64_t headDim) {
  return static_cast<size_t>(kQueries * headDim + kKeys * (headDim + 1) + kKeys * headDim) * sizeof(float);
}

__device__ __forceinline__ float relativeBias(const ops::RelativeBias& b, int64_t head, int64_t query, int64_t key) {
  if (query < b.prefix) return b.classes[3 * head + (key < b.prefix ? 2 : 0)];
  if (key < b.prefix) return b.classes[3 * head + 1];
  return b.table[head * (2 * b.gridH - 1) * (2 * b.gridW - 1) +
                 ops::relativeIndex(b.gridH, b.gridW, query - b.prefix, key - b.prefix)];
}

// kSlices: the head's dimensions that one lane owns, 32 apart.
template <class View, int kSlices>
__global__ void __launch_bounds__(kAttentionWarps* kWarp, 4) attentionKernel(View view, AttentionShape shape) {
  const int64_t dim = shape.headDim, width = shape.heads * dim;
  float* queries = sharedMemory<float>();    // [kQueries][dim]
  float* keys = queries + kQueries * dim;    // [kKeys][dim + 1]: lanes read a column
  float* values = keys + kKeys * (dim + 1);  // [kKeys][dim]
  const int64_t tiles = (shape.queries + kQueries - 1) / kQueries;
  const int64_t head = blockIdx.y, item = blockIdx.x / tiles, query0 = blockIdx.x % tiles * kQueries;
  const int thread = static_cast<int>(threadIdx.x), lane = laneIndex(), warp = warpIndex();

  for (int64_t i = thread; i < kQueries * dim; i += kAttentionWarps * kWarp) {
    const int64_t query = query0 + i / dim;
    queries[i] = query < shape.queries ? view.query(item, query, head * dim + i % dim) : 0.0f;
  }
  float max[kQueriesPerWarp], sum[kQueriesPerWarp] = {}, out[kQueriesPerWarp][kSlices] = {};
#pragma unroll
  for (int q = 0; q < kQueriesPerWarp; ++q) max[q] = kMinusInfinity;

  for (int64_t key0 = 0; key0 < shape.tokens; key0 += kKeys) {
    __syncthreads();
    for (int64_t i = thread; i < kKeys * dim; i += kAttentionWarps * kWarp) {
      const int64_t key = key0 + i / dim, d = i % dim;
      const float* row = key < shape.tokens ? view.row(item, key) + head * dim + d : nullptr;
      keys[i / dim * (dim + 1) + d] = row ? row[width] : 0.0f;
      values[i] = row ? row[2 * width] : 0.0f;
    }
    __syncthreads();
    const int count = static_cast<int>(shape.tokens - key0 < kKeys ? shape.tokens - key0 : kKeys);
#pragma unroll
    for (int q = 0; q < kQueriesPerWarp; ++q) {
      const float* query = queries + (warp * kQueriesPerWarp + q) * dim;
      const float* key = keys + lane * (dim + 1);
      float dot = 0.0f, qq = 0.0f, kk = 0.0f;
      for (int64_t d = 0; d < dim; ++d) {
        dot = fmaf(query[d], key[d], dot);
        if (View::kNorms) qq = fmaf(query[d], query[d], qq), kk = fmaf(key[d], key[d], kk);
      }
      const int64_t queryToken = query0 + warp * kQueriesPerWarp + q;
      const bool real = lane < count && queryToken < shape.queries;
      const float score = real ? view.score(head, item, queryToken, key0 + lane, dot, qq, kk) : kMinusInfinity;
      const float newMax = fmaxf(max[q], warpMax(score));
      // All scores so far may be -inf (or NaN): nothing to scale then.
      const float shift = newMax == kMinusInfinity ? 0.0f : newMax;
      const float p = real ? expf(score - shift) : 0.0f;
      const float rescale = expf(max[q] - shift);
      sum[q] = sum[q] * rescale + warpSum(p);
      max[q] = newMax;
#pragma unroll
      for (int s = 0; s < kSlices; ++s) out[q][s] *= rescale;
      for (int k = 0; k < count; ++k) {
        const float weight = __shfl_sync(kAllLanes, p, k);
#pragma unroll
        for (int s = 0; s < kSlices; ++s)
          if (lane + kWarp * s < dim) out[q][s] = fmaf(weight, values[k * dim + lane + kWarp * s], out[q][s]);
      }
    }
  }
#pragma unroll
  for (int q = 0; q < kQueriesPerWarp; ++q) {
    const int64_t query = query0 + warp * kQueriesPerWarp + q;
    float* to = query < shape.queries ? view.out(item, query) : nullptr;
    if (!to) continue;
    const float inverse = sum[q] == 0.0f ? 0.0f : 1.0f / sum[q];
#pragma unroll
    for (int s = 0; s < kSlices; ++s)
      if (lane + kWarp * s < dim) to[head * dim + lane + kWarp * s] = out[q][s] * inverse;
  }
}

template <class View, int kSlices>
void launchAttentionSlices(Context& c, const View& view, const AttentionShape& shape) {
  const size_t shared = attentionSharedBytes(shape.headDim);
  if (shared > 48 * 1024)
    cudaFuncSetAttribute(attentionKernel<View, kSlices>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared));
  const dim3 grid(static_cast<unsigned>(shape.items * ((shape.queries + kQueries - 1) / kQueries)),
                  static_cast<unsigned>(shape.heads));
  launchKernel(c.stream, attentionKernel<View, kSlices>, grid, dim3(kAttentionWarps * kWarp), shared, view, shape);
}

template <class View>
Status launchAttention(Context& c, const View& view, const AttentionShape& shape, const char* what) {
  if (shape.headDim > kMaxHeadDim) {
    c.error = std::string(what) + ": expected a head of at most 256 dimensions, got " + std::to_string(shape.headDim);
    return kFailed;
  }
  if (shape.items * shape.queries == 0) return kOk;
  if (shape.headDim <= 32)
    launchAttentionSlices<View, 1>(c, view, shape);
  else if (shape.headDim <= 64)
    launchAttentionSlices<View, 2>(c, view, shape);
  else if (shape.headDim <= 128)
    launchAttentionSlices<View, 4>(c, view, shape);
  else
    launchAttentionSlices<View, 8>(c, view, shape);
  return launched(c, what);
}

}  // namespace ved::cuda
