// Attention of predicting streams over a slot cache: one block per row and head, scores of all positions in shared
// memory.
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 4 * kWarp;
constexpr int64_t kMostPositions = 8192;  // scores of 32 KiB

template <class Cache>
struct NgramRow {
  const ops::NgramAttentionArgs& n;
  int64_t stream, token, head, row, length;
  const uint8_t* mask;

  __device__ __forceinline__ int64_t offset(int64_t p) const {
    const ops::CachedAttentionArgs& a = n.main;
    const int64_t slot = a.slots ? a.slots[a.slotOfToken[token] * a.capacity + p] : a.slotOfToken[token];
    return ((slot * a.heads + head) * a.capacity + p) * a.headDim;
  }
  __device__ __forceinline__ bool visible(int64_t p) const {
    return (stream <= 0 || p < length - stream || p == 0) && (!mask || mask[p]);
  }
  // Position `length` is the row's own key.
  __device__ __forceinline__ float score(int64_t p, ops::RelativeSource source) const {
    const ops::CachedAttentionArgs& a = n.main;
    const bool own = p == length;
    if (!own && !visible(p)) return kMinusInfinity;
    const float* q = a.q + row * a.ldq + head * a.headDim;
    const auto* key = static_cast<const typename Cache::Element*>(a.keys) + (own ? 0 : offset(p));
    float sum = 0.0f;
    for (int64_t d = 0; d < a.headDim; ++d)
      sum = fmaf(q[d], own ? q[a.heads * a.headDim + d] : Cache::toFloat(key[d]), sum);
    const int64_t distance = own ? 0 : (stream < 0 ? length - 1 : length) - p;
    return fmaf(sum, a.scale,
                n.relative[(source.row * n.buckets + n.bucketOfDistance[distance]) * a.heads + source.head]);
  }
};

template <class Cache>
__global__ void __launch_bounds__(kThreads, 4) ngramAttentionKernel(ops::NgramAttentionArgs n) {
  const ops::CachedAttentionArgs& a = n.main;
  float* scores = sharedMemory<float>();  // [capacity + 1]
  const int64_t row = blockIdx.x, head = blockIdx.y, token = row % a.tokens, stream = row / a.tokens - 1;
  const int64_t length = a.lengthOfToken[token], count = stream < 0 ? length : length + 1;
  const NgramRow<Cache> at = {n, stream, token, head, row, length, a.maskOfToken ? a.maskOfToken[token] : nullptr};
  const ops::RelativeSource source = ops::relativeSource(n, stream, token, head);
  const int64_t thread = static_cast<int64_t>(threadIdx.x), lane = thread % kWarp;
  for (int64_t p = thread; p < count; p += kThreads) scores[p] = at.score(p, source);
  __syncthreads();
  float max = kMinusInfinity, sum = 0.0f;  // every warp finds both
  for (int64_t p = lane; p < count; p += kWarp) max = fmaxf(max, scores[p]);
  max = warpMax(max);
  const float shift = max == kMinusInfinity ? 0.0f : max;
  for (int64_t p = lane; p < count; p += kWarp) sum += expf(scores[p] - shift);
  sum = warpSum(sum);
  const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
  for (int64_t d = thread; d < a.headDim; d += kThreads) {
    float mix = 0.0f;
    for (int64_t p = 0; p < length; ++p) {
      const float weight = expf(scores[p] - shift);
      if (weight != 0.0f)
        mix =
            fmaf(weight, Cache::toFloat(static_cast<const typename Cache::Element*>(a.values)[at.offset(p) + d]), mix);
    }
    if (stream >= 0)
      mix = fmaf(expf(scores[length] - shift), a.q[row * a.ldq + (2 * a.heads + head) * a.headDim + d], mix);
    a.out[row * a.ldo + head * a.headDim + d] = mix * inverse;
  }
}

}  // namespace

Status ngramAttention(Context& c, const ops::NgramAttentionArgs& n) {
  const ops::CachedAttentionArgs& a = n.main;
  if (a.capacity > kMostPositions) {
    c.error = "ngram_attention: expected at most " + std::to_string(kMostPositions) + " positions, got " +
              std::to_string(a.capacity);
    return kFailed;
  }
  if (a.tokens == 0) return kOk;
  const dim3 grid(static_cast<unsigned>((1 + n.streams) * a.tokens), static_cast<unsigned>(a.heads));
  const size_t shared = static_cast<size_t>(a.capacity + 1) * sizeof(float);
  if (a.cacheType == ops::CacheType::BFloat16)
    launchKernel(c.stream, ngramAttentionKernel<Brain>, grid, dim3(kThreads), shared, n);
  else if (a.cacheType == ops::CacheType::Float16)
    launchKernel(c.stream, ngramAttentionKernel<Half>, grid, dim3(kThreads), shared, n);
  else
    launchKernel(c.stream, ngramAttentionKernel<Single>, grid, dim3(kThreads), shared, n);
  return launched(c, "ngram_attention");
}

}  // namespace ved::cuda
