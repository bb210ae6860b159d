// Attention of single query tokens over a slot cache: one block per token and head, four positions per warp at a time.
// Position p always belongs to group p % 16 and groups are merged in order, so a row's bits do not depend on its batch.
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kWarps = 4, kLanesPerGroup = 8, kGroups = kWarps * kWarp / kLanesPerGroup;

struct Position {
  const ops::CachedAttentionArgs& a;
  int64_t token, head;
  const uint8_t* mask;

  __device__ __forceinline__ int64_t offset(int64_t p) const {
    const int64_t slot = a.slots ? a.slots[a.slotOfToken[token] * a.capacity + p] : a.slotOfToken[token];
    return ((slot * a.heads + head) * a.capacity + p) * a.headDim;
  }
  __device__ __forceinline__ bool visible(int64_t p, int64_t length) const { return p < length && (!mask || mask[p]); }
};

__device__ __forceinline__ float groupSum(float v) {
#pragma unroll
  for (int bit = kLanesPerGroup / 2; bit > 0; bit /= 2) v += __shfl_xor_sync(kAllLanes, v, bit);
  return v;
}

// kSlices: dimensions one lane owns, kLanesPerGroup apart. All lanes of a warp take part in every shuffle. Cache: how
// keys and values are held.
template <class Cache, int kSlices>
__device__ __forceinline__ float scoreOf(const Position& at, const float (&query)[kSlices], int64_t p, bool visible) {
  const int lane = laneIndex() % kLanesPerGroup;
  float score = 0.0f;
  if (visible) {
    const auto* key = static_cast<const typename Cache::Element*>(at.a.keys) + at.offset(p);
#pragma unroll
    for (int s = 0; s < kSlices; ++s) {
      const int64_t d = lane + kLanesPerGroup * s;
      if (d < at.a.headDim) score = fmaf(query[s], Cache::toFloat(key[d]), score);
    }
  }
  return groupSum(score) * at.a.scale;
}

template <class Cache, int kSlices>
__global__ void __launch_bounds__(kWarps* kWarp) cachedAttentionKernel(ops::CachedAttentionArgs a) {
  float* maxima = sharedMemory<float>();  // [kGroups]
  float* sums = maxima + kGroups;         // [kGroups]
  float* partial = sums + kGroups;        // [kGroups][headDim]
  const int64_t token = blockIdx.x, head = blockIdx.y, length = a.lengthOfToken[token];
  const Position at = {a, token, head, a.maskOfToken ? a.maskOfToken[token] : nullptr};
  const int lane = laneIndex() % kLanesPerGroup, group = static_cast<int>(threadIdx.x) / kLanesPerGroup;
  float query[kSlices], out[kSlices] = {}, max = kMinusInfinity, sum = 0.0f;
#pragma unroll
  for (int s = 0; s < kSlices; ++s) {
    const int64_t d = lane + kLanesPerGroup * s;
    query[s] = d < a.headDim ? a.q[token * a.ldq + head * a.headDim + d] : 0.0f;
  }
  for (int64_t p0 = 0; p0 < length; p0 += kGroups) {
    const int64_t p = p0 + group;
    const bool visible = at.visible(p, length);
    const float score = scoreOf<Cache, kSlices>(at, query, p, visible);
    if (!visible) continue;
    const float newMax = fmaxf(max, score);
    const float shift = newMax == kMinusInfinity ? 0.0f : newMax;
    const float weight = expf(score - shift), rescale = expf(max - shift);
    const auto* value = static_cast<const typename Cache::Element*>(a.values) + at.offset(p);
    sum = fmaf(sum, rescale, weight);
    max = newMax;
#pragma unroll
    for (int s = 0; s < kSlices; ++s) {
      const int64_t d = lane + kLanesPerGroup * s;
      if (d < a.headDim) out[s] = fmaf(weight, Cache::toFloat(value[d]), out[s] * rescale);
    }
  }
  if (lane == 0) maxima[group] = max, sums[group] = sum;
#pragma unroll
  for (int s = 0; s < kSlices; ++s) {
    const int64_t d = lane + kLanesPerGroup * s;
    if (d < a.headDim) partial[group * a.headDim + d] = out[s];
  }
  __syncthreads();
  float all = kMinusInfinity, total = 0.0f;
  for (int g = 0; g < kGroups; ++g) all = fmaxf(all, maxima[g]);
  const float shift = all == kMinusInfinity ? 0.0f : all;
  for (int g = 0; g < kGroups; ++g) total = fmaf(sums[g], expf(maxima[g] - shift), total);
  const float inverse = total == 0.0f ? 0.0f : 1.0f / total;
  for (int64_t d = threadIdx.x; d < a.headDim; d += kWarps * kWarp) {
    float mix = 0.0f;
    for (int g = 0; g < kGroups; ++g) mix = fmaf(partial[g * a.headDim + d], expf(maxima[g] - shift), mix);
    storeElement(a.out, a.outElement, token * a.ldo + head * a.headDim + d, mix * inverse);
  }
  if (!a.probabilities) return;
  float* row = a.probabilities + (token * a.heads + head) * a.capacity;
  for (int64_t p0 = 0; p0 < a.capacity; p0 += kGroups) {
    const int64_t p = p0 + group;
    const bool visible = at.visible(p, length);
    const float score = scoreOf<Cache, kSlices>(at, query, p, visible);
    if (lane == 0 && p < a.capacity) row[p] = visible ? expf(score - shift) * inverse : 0.0f;
  }
}

template <class Cache, int kSlices>
void launchSlices(Context& c, const ops::CachedAttentionArgs& a) {
  const size_t shared = static_cast<size_t>(kGroups * (2 + a.headDim)) * sizeof(float);
  launchKernel(c.stream, cachedAttentionKernel<Cache, kSlices>,
               dim3(static_cast<unsigned>(a.tokens), static_cast<unsigned>(a.heads)), dim3(kWarps * kWarp), shared, a);
}

template <class Cache>
void launchCached(Context& c, const ops::CachedAttentionArgs& a) {
  if (a.headDim <= 32)
    launchSlices<Cache, 4>(c, a);
  else if (a.headDim <= 64)
    launchSlices<Cache, 8>(c, a);
  else if (a.headDim <= 128)
    launchSlices<Cache, 16>(c, a);
  else
    launchSlices<Cache, 32>(c, a);
}

}  // namespace

Status cachedAttention(Context& c, const ops::CachedAttentionArgs& a) {
  if (a.headDim > kMaxHeadDim) {
    c.error = "cached_attention: expected a head of at most 256 dimensions, got " + std::to_string(a.headDim);
    return kFailed;
  }
  if (a.tokens == 0) return kOk;
  if (a.cacheType == ops::CacheType::Float32)
    launchCached<Single>(c, a);
  else
    a.cacheType == ops::CacheType::BFloat16 ? launchCached<Brain>(c, a) : launchCached<Half>(c, a);
  return launched(c, "cached_attention");
}

}  // namespace ved::cuda
