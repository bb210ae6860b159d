// One pass of maxima and one of exponentials over each row of logits. The split over threads depends on the vocabulary
// alone, so a row's summary has the same bits in every batch.
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;

struct Best {
  float value;
  int32_t index;
};

// The larger value; among equal ones the lower index. A NaN never wins.
__device__ __forceinline__ Best better(Best a, Best b) {
  if (b.value > a.value || (b.value == a.value && b.index < a.index)) return b;
  return a;
}

__device__ __forceinline__ Best warpBest(Best best) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) {
    const Best other = {__shfl_xor_sync(kAllLanes, best.value, bit), __shfl_xor_sync(kAllLanes, best.index, bit)};
    best = better(best, other);
  }
  return best;
}

__global__ void __launch_bounds__(kThreads) summarizeKernel(SummaryCall a) {
  float* values = sharedMemory<float>();                           // [kWarps]
  int32_t* indices = reinterpret_cast<int32_t*>(values + kWarps);  // [kWarps]
  float* sums = values + 2 * kWarps;                               // [kWarps]
  const float* logits = a.logits + static_cast<int64_t>(blockIdx.x) * a.ld;
  Best best = {kMinusInfinity, 0x7fffffff};
  for (int64_t i = threadIdx.x; i < a.vocab; i += kThreads)
    if (logits[i] > best.value) best = {logits[i], static_cast<int32_t>(i)};
  best = warpBest(best);
  if (laneIndex() == 0) values[warpIndex()] = best.value, indices[warpIndex()] = best.index;
  __syncthreads();
  best = {values[0], indices[0]};
  for (int w = 1; w < kWarps; ++w) best = better(best, {values[w], indices[w]});

  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < a.vocab; i += kThreads) sum += expf(logits[i] - best.value);
  sum = warpSum(sum);
  if (laneIndex() == 0) sums[warpIndex()] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0.0f;
  bool nan = false;
  for (int w = 0; w < kWarps; ++w) total += sums[w];
  // An infinite maximum makes NaN of its own exponentials: only a look at the logits tells the two apart.
  if (total != total)
    for (int64_t i = 0; i < a.vocab && !nan; ++i) nan = logits[i] != logits[i];
  const bool infinite = best.value == kMinusInfinity || best.value == -kMinusInfinity;
  const float lse = nan ? total : infinite ? best.value : best.value + logf(total);
  a.out[blockIdx.x] = {best.index == 0x7fffffff ? 0 : best.index, best.value, lse};
}

}  // namespace

Status summarize(Context& c, const SummaryCall& a) {
  if (a.rows > 0)
    launchKernel(c.stream, summarizeKernel, dim3(static_cast<unsigned>(a.rows)), dim3(kThreads),
                 3 * kWarps * sizeof(float), a);
  return launched(c, "summarize");
}

}  // namespace ved::cuda
