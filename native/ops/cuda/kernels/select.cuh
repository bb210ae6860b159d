// Searching a row of scores with one block: by descending score and by index. All sums are of integers, so that neither
// the order of the threads nor that of atomic additions shows in the result.
#pragma once
#include "ops/cuda/kernels/context.cuh"
#include "ops/select.h"

namespace ved::cuda {

using Mass = unsigned long long;

constexpr int kSelectThreads = 512;
constexpr int kSelectWarps = kSelectThreads / kWarp;
constexpr int kBins = 2048;
constexpr int kBinsPerThread = kBins / kSelectThreads;
constexpr float kBinsPerUnit = 64.0f;  // the first histogram: 32 units of log-probability below the maximum
constexpr uint32_t kEverything = 0xffffffffu;

// Shared memory of a block, before what a kernel adds.
struct SelectShared {
  unsigned low[kBins], high[kBins];  // halves of the bins' sums
  Mass sums[kSelectWarps];
  Mass above;
  float values[kSelectWarps];
  int32_t indices[kSelectWarps];
  int32_t nan[kSelectWarps];
  int32_t bin;
  int32_t count;
};

// A row: base + (value - offset).
struct Scores {
  const float* values;
  int64_t count;
  float offset, base;
  __device__ __forceinline__ float of(float value) const { return base + (value - offset); }
  __device__ __forceinline__ float at(int64_t i) const { return of(values[i]); }
};

// visit(i, score) for this thread's share of the row. Several loads are under way before the first is used.
template <class Visit>
__device__ __forceinline__ void forEachScore(const Scores& scores, Visit visit) {
  constexpr int kAhead = 4;
#pragma unroll 1
  for (int64_t first = threadIdx.x; first < scores.count; first += kAhead * kSelectThreads) {
    float values[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int64_t i = first + a * kSelectThreads;
      values[a] = i < scores.count ? scores.values[i] : kMinusInfinity;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int64_t i = first + a * kSelectThreads;
      if (i < scores.count) visit(i, scores.of(values[a]));
    }
  }
}

// What a score counts in a sum. Scores take part between two keys; of those equal to `tied` only the ids up to
// lastTied.
struct Weights {
  uint32_t from = 0, limit = kEverything, tied = kEverything;
  int64_t lastTied = 0;
  float max = 0;
  int scale = -1;  // -1: each counts 1; else 2^scale * exp(score - max)
  __device__ __forceinline__ Mass of(int64_t i, float score) const {
    if (!(score > kMinusInfinity)) return 0;
    const uint32_t key = ops::descendingKey(score);
    if (key < from || key > limit || (key == tied && i > lastTied)) return 0;
    return scale < 0 ? 1 : ops::weightBelow(score - max, scale);
  }
};

// The sum to be reached, which may depend on the total.
struct Target {
  Mass fixed = 0;
  double topP = 1;  // below 1: that part of the total
  bool drawn = false;
  unsigned long long uniform = 0;  // drawn: in units of 2^-53
  __device__ __forceinline__ Mass of(Mass total) const {
    if (drawn) return ops::drawTarget(uniform, total);
    return topP < 1.0 ? ops::topPTarget(topP, total) : fixed;
  }
};

__device__ __forceinline__ Mass warpSum(Mass v) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) v += __shfl_xor_sync(kAllLanes, v, bit);
  return v;
}

// Sum over this lane and those before it.
__device__ __forceinline__ Mass warpScan(Mass v) {
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    const int from = laneIndex() - step;
    const Mass other = __shfl_sync(kAllLanes, v, from < 0 ? 0 : from);
    if (from >= 0) v += other;
  }
  return v;
}

__device__ __forceinline__ Mass binOf(const SelectShared& shared, int bin) {
  return static_cast<Mass>(shared.high[bin]) << 32 | shared.low[bin];
}
// By additions of 32 bits, which shared memory performs itself: whoever makes the low half wrap carries.
__device__ __forceinline__ void addToBin(SelectShared& shared, int bin, Mass weight) {
  const unsigned low = static_cast<unsigned>(weight), before = atomicAdd(&shared.low[bin], low);
  const unsigned high = static_cast<unsigned>(weight >> 32) + (before + low < low ? 1u : 0u);
  if (high) atomicAdd(&shared.high[bin], high);
}

struct Best {
  float value;
  int32_t index;  // -1: nothing is above -inf
  bool nan;
};

// The lowest index among equal maxima.
__device__ inline Best blockBest(SelectShared& shared, const Scores& scores) {
  float value = kMinusInfinity;
  int32_t index = 0x7fffffff, nan = 0;
  forEachScore(scores, [&](int64_t i, float s) {
    nan |= s != s;
    if (s > value) value = s, index = static_cast<int32_t>(i);
  });
  const auto take = [&](float otherValue, int32_t otherIndex, int32_t otherNan) {
    nan |= otherNan;
    if (otherValue > value || (otherValue == value && otherIndex < index)) value = otherValue, index = otherIndex;
  };
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) {
    const float otherValue = __shfl_xor_sync(kAllLanes, value, bit);
    const int32_t otherIndex = __shfl_xor_sync(kAllLanes, index, bit), otherNan = __shfl_xor_sync(kAllLanes, nan, bit);
    take(otherValue, otherIndex, otherNan);
  }
  if (laneIndex() == 0) {
    shared.values[warpIndex()] = value;
    shared.indices[warpIndex()] = index;
    shared.nan[warpIndex()] = nan;
  }
  __syncthreads();
  for (int w = 0; w < kSelectWarps; ++w) take(shared.values[w], shared.indices[w], shared.nan[w]);
  __syncthreads();
  return {value, index == 0x7fffffff ? -1 : index, nan != 0};
}

__device__ inline Mass blockSum(SelectShared& shared, const Scores& scores, const Weights& weights) {
  Mass sum = 0;
  forEachScore(scores, [&](int64_t i, float s) { sum += weights.of(i, s); });
  sum = warpSum(sum);
  if (laneIndex() == 0) shared.sums[warpIndex()] = sum;
  __syncthreads();
  sum = 0;
  for (int w = 0; w < kSelectWarps; ++w) sum += shared.sums[w];
  __syncthreads();
  return sum;
}

// Where the running sum over the bins reaches the target: the bin, and the sum before it.
struct BinCrossing {
  int32_t bin;
  Mass before, total;
};

__device__ __forceinline__ BinCrossing crossBins(SelectShared& shared, const Target& goal) {
  const int first = static_cast<int>(threadIdx.x) * kBinsPerThread;
  Mass own[kBinsPerThread], sum = 0;
#pragma unroll
  for (int b = 0; b < kBinsPerThread; ++b) sum += own[b] = binOf(shared, first + b);
  Mass before = warpScan(sum);
  if (laneIndex() == kWarp - 1) shared.sums[warpIndex()] = before;
  __syncthreads();
  before -= sum;
  Mass total = 0;
  for (int w = 0; w < kSelectWarps; ++w) {
    if (w == warpIndex()) before += total;
    total += shared.sums[w];
  }
  const Mass target = goal.of(total);
#pragma unroll
  for (int b = 0; b < kBinsPerThread; ++b) {
    if (before < target && target <= before + own[b]) shared.bin = first + b, shared.above = before;
    before += own[b];
  }
  __syncthreads();
  return {shared.bin, shared.above, total};
}

// The score at which the sum of weights, from the best score down, reaches the target.
struct Crossing {
  bool found;    // false: the total stays below the target
  uint32_t key;  // descendingKey() of that score
  Mass above;    // weight of the better scores
  Mass at;       // weight of the scores equal to it
  Mass target;
};

__device__ __forceinline__ int32_t firstBin(float max, float score) {
  const float bin = (max - score) * kBinsPerUnit;
  return bin < static_cast<float>(kBins - 1) ? static_cast<int32_t>(bin) : kBins - 1;
}

// goal.of(total) is at least 1. A histogram over the distance from the maximum spreads the scores over many bins; three
// more, over the bits of the key, look inside the bin that was found.
__device__ inline Crossing crossScores(SelectShared& shared, const Scores& scores, float max, const Weights& weights,
                                       const Target& goal) {
  Crossing c = {true, 0, 0, 0, 0};
  int32_t outer = 0;
#pragma unroll 1
  for (int level = 0; level < 4; ++level) {
    const int bits = level == 3 ? 10 : 11, shift = level == 1 ? 21 : level == 2 ? 10 : 0;
    for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kSelectThreads) shared.low[b] = shared.high[b] = 0;
    if (threadIdx.x == 0) shared.bin = 0, shared.above = 0;
    __syncthreads();
    forEachScore(scores, [&](int64_t i, float s) {
      const Mass weight = weights.of(i, s);
      if (weight == 0) return;
      int32_t bin = firstBin(max, s);
      if (level > 0) {
        const uint32_t key = ops::descendingKey(s);
        // What lies above this level's bits was found before.
        if (bin != outer || (level > 1 && key >> (shift + bits) != c.key)) return;
        bin = static_cast<int32_t>(key >> shift & ((1u << bits) - 1));
      }
      addToBin(shared, bin, weight);
    });
    __syncthreads();
    Target left = goal;
    if (level > 0) left = {c.target - c.above};
    const BinCrossing b = crossBins(shared, left);
    if (level == 0) {
      c.target = goal.of(b.total);
      c.found = b.total >= c.target;
      outer = b.bin;
    } else {
      c.key = c.key << bits | static_cast<uint32_t>(b.bin);
    }
    c.above += b.before;
    c.at = binOf(shared, b.bin);
    __syncthreads();
    if (!c.found) return c;
  }
  return c;
}

// The first index at which the inclusive sum exceeds goal.of(total) < total. Every round splits the range among the
// warps.
__device__ inline int64_t crossIndex(SelectShared& shared, const Scores& scores, const Weights& weights,
                                     const Target& goal) {
  int64_t low = 0, high = scores.count;
  Mass target = 0;
#pragma unroll 1
  for (bool whole = true;; whole = false) {
    const int64_t span = ((high - low + kSelectWarps - 1) / kSelectWarps + kWarp - 1) / kWarp * kWarp;
    const int64_t from = low + warpIndex() * span, to = from + span < high ? from + span : high;
    Mass sum = 0;
#pragma unroll 4
    for (int64_t i = from + laneIndex(); i < to; i += kWarp) sum += weights.of(i, scores.at(i));
    sum = warpSum(sum);
    if (laneIndex() == 0) shared.sums[warpIndex()] = sum;
    __syncthreads();
    if (whole) {
      Mass total = 0;
      for (int w = 0; w < kSelectWarps; ++w) total += shared.sums[w];
      target = goal.of(total);
    }
    int w = 0;
    while (w < kSelectWarps - 1 && shared.sums[w] <= target) target -= shared.sums[w++];
    low += w * span;
    high = low + span < high ? low + span : high;
    __syncthreads();
    if (span == kWarp) break;
  }
  const int64_t i = low + laneIndex();
  const Mass own = i < high ? weights.of(i, scores.at(i)) : 0;
  const Mass sum = warpScan(own);
  int found = sum > target && sum - own <= target ? laneIndex() : kWarp;
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) {
    const int other = __shfl_xor_sync(kAllLanes, found, bit);
    found = other < found ? other : found;
  }
  return low + (found < kWarp ? found : 0);
}

}  // namespace ved::cuda
