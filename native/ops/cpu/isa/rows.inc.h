// Kernels that work along one row: LayerNorm, softmax, cached attention, summary of logits. Included once per ISA.
#pragma once
#include <math.h>

#include "ops/cpu/isa/math.inc.h"
#include "ops/cpu/kernel_table.h"

namespace ved::ops::cpu {
namespace {

constexpr float kLowest = -HUGE_VALF;

// f(vector index, lanes) over n floats; the last call may have fewer lanes than a vector.
template <class F>
inline void forVectors(int64_t n, F f) {
  int64_t i = 0;
  for (; i + Vec::kWidth <= n; i += Vec::kWidth) f(i, Vec::kWidth);
  if (i < n) f(i, n - i);
}

inline Vec loadLanes(const float* p, int64_t lanes) {
  return lanes >= Vec::kWidth ? Vec::load(p) : Vec::loadN(p, lanes);
}

inline void storeLanes(Vec v, float* p, int64_t lanes) {
  if (lanes >= Vec::kWidth)
    v.store(p);
  else
    v.storeN(p, lanes);
}

// Lanes behind the end read as `fill`.
inline Vec loadFilled(const float* p, int64_t lanes, float fill) {
  if (lanes >= Vec::kWidth) return Vec::load(p);
  float padded[Vec::kWidth];
  for (int i = 0; i < Vec::kWidth; ++i) padded[i] = i < lanes ? p[i] : fill;
  return Vec::load(padded);
}

void layerNormRow(const float* x, float* y, int64_t width, const float* gamma, const float* beta, float eps) {
  Vec sum = Vec::zero();
  forVectors(width, [&](int64_t i, int64_t n) { sum = Vec::add(sum, loadLanes(x + i, n)); });
  const float mean = Vec::reduceAdd(sum) / static_cast<float>(width);
  const Vec m = Vec::set1(mean);
  Vec squares = Vec::zero();
  forVectors(width, [&](int64_t i, int64_t n) {
    const Vec d = Vec::sub(loadFilled(x + i, n, mean), m);
    squares = Vec::fma(d, d, squares);
  });
  const Vec inverse = Vec::set1(1.0f / sqrtf(Vec::reduceAdd(squares) / static_cast<float>(width) + eps));
  forVectors(width, [&](int64_t i, int64_t n) {
    const Vec d = Vec::mul(Vec::sub(loadLanes(x + i, n), m), inverse);
    storeLanes(Vec::fma(d, loadLanes(gamma + i, n), loadLanes(beta + i, n)), y + i, n);
  });
}

void rmsNormRow(const float* x, float* y, int64_t width, const float* gamma, float eps) {
  Vec squares = Vec::zero();
  forVectors(width, [&](int64_t i, int64_t n) {
    const Vec v = loadLanes(x + i, n);
    squares = Vec::fma(v, v, squares);
  });
  const Vec inverse = Vec::set1(1.0f / sqrtf(Vec::reduceAdd(squares) / static_cast<float>(width) + eps));
  forVectors(width, [&](int64_t i, int64_t n) {
    storeLanes(Vec::mul(Vec::mul(loadLanes(x + i, n), inverse), loadLanes(gamma + i, n)), y + i, n);
  });
}

// A NaN does not win the maximum but reaches every output through the sum.
void softmaxRow(float* s, int64_t n, float scale) {
  Vec top = Vec::set1(kLowest);
  const Vec factor = Vec::set1(scale);
  forVectors(n, [&](int64_t i, int64_t lanes) {
    const Vec v = Vec::mul(loadLanes(s + i, lanes), factor);
    storeLanes(v, s + i, lanes);
    top = Vec::max(lanes >= Vec::kWidth ? v : loadFilled(s + i, lanes, kLowest), top);
  });
  const Vec max = Vec::set1(Vec::reduceMax(top));
  Vec sum = Vec::zero();
  forVectors(n, [&](int64_t i, int64_t lanes) {
    const Vec e = exp(Vec::sub(loadFilled(s + i, lanes, kLowest), max));
    storeLanes(e, s + i, lanes);
    sum = Vec::add(sum, e);
  });
  const Vec inverse = Vec::set1(1.0f / Vec::reduceAdd(sum));
  forVectors(n,
             [&](int64_t i, int64_t lanes) { storeLanes(Vec::mul(loadLanes(s + i, lanes), inverse), s + i, lanes); });
}

// Elements of a cache, widened.
struct CacheFloat32 {
  using Element = float;
  static Vec load(const Element* p, int64_t n) { return loadLanes(p, n); }
};
struct CacheBf16 {
  using Element = uint16_t;
  static Vec load(const Element* p, int64_t n) { return Vec::loadBf16(p, n); }
};

// Keys or values of one head by position: those of one slot, or of the slots that the ancestry table names.
template <class Cache>
struct CacheRows {
  using Element = typename Cache::Element;
  // Rows that are read soon. Blocks of a head are too short for processors to find out by themselves.
  static constexpr int64_t kAheadBytes = 4096;

  const Element* base;
  const int32_t* slots;  // by position, or nullptr
  int64_t slotStride, headDim;

  CacheRows(const CachedAttentionArgs& a, const void* cache, int64_t token, int64_t head)
      : base(static_cast<const Element*>(cache) + head * a.capacity * a.headDim),
        slots(a.slots ? a.slots + a.slotOfToken[token] * a.capacity : nullptr),
        slotStride(a.heads * a.capacity * a.headDim),
        headDim(a.headDim) {
    if (!slots) base += a.slotOfToken[token] * slotStride;
  }
  const Element* at(int64_t position) const {
    const Element* row = base + position * headDim;
    return slots ? row + slots[position] * slotStride : row;
  }
  int64_t ahead() const { return kAheadBytes / (headDim * static_cast<int64_t>(sizeof(Element))) + 1; }
  void fetch(int64_t position, int64_t first, int64_t count) const {
    const Element* row = at(position);
    for (int64_t i = first; i < first + count; i += 64 / static_cast<int64_t>(sizeof(Element)))
      Vec::prefetch(reinterpret_cast<const float*>(row + i));
  }
};

// scores[p] = scale * q . key[p]; four positions at a time share the sums across lanes.
template <class Cache>
void cacheScores(const CachedAttentionArgs& a, int64_t token, int64_t head, const uint8_t* mask, float* scores) {
  const float* q = a.q + token * a.ldq + head * a.headDim;
  const CacheRows<Cache> keys(a, a.keys, token, head), values(a, a.values, token, head);
  const int64_t length = a.lengthOfToken[token], ahead = keys.ahead();
  for (int64_t first = 0; first < length; first += 4) {
    const int64_t count = length - first < 4 ? length - first : 4;
    Vec sum[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    for (int64_t i = 0; i < count; ++i) {
      const int64_t next = first + i + ahead;  // the values follow the keys
      if (next < length)
        keys.fetch(next, 0, a.headDim);
      else if (next < 2 * length)
        values.fetch(next - length, 0, a.headDim);
      if (mask && !mask[first + i]) continue;  // what lies there may be anything
      const auto* key = keys.at(first + i);
      forVectors(a.headDim, [&](int64_t d, int64_t lanes) {
        sum[i] = Vec::fma(loadLanes(q + d, lanes), Cache::load(key + d, lanes), sum[i]);
      });
    }
    float sums[4];
    Vec::reduceAdd4(sum, sums);
    for (int64_t i = 0; i < count; ++i) scores[first + i] = mask && !mask[first + i] ? kLowest : a.scale * sums[i];
  }
}

// out[0, V * width) = sum over positions, in their order, of weight * value
template <class Cache, int V>
void mixValues(const CachedAttentionArgs& a, int64_t token, int64_t head, int64_t d, const float* weights,
               const uint8_t* mask, float* out) {
  const CacheRows<Cache> values(a, a.values, token, head);
  const int64_t length = a.lengthOfToken[token], ahead = values.ahead();
  Vec acc[V];
  for (int j = 0; j < V; ++j) acc[j] = Vec::zero();
  for (int64_t p = 0; p < length; ++p) {
    if (p + ahead < length) values.fetch(p + ahead, d, V * Vec::kWidth);
    if (mask && !mask[p]) continue;
    const auto* value = values.at(p) + d;
    const Vec w = Vec::set1(weights[p]);
    for (int j = 0; j < V; ++j) {
      const int64_t left = a.headDim - d - j * Vec::kWidth;
      acc[j] = Vec::fma(w, Cache::load(value + j * Vec::kWidth, left), acc[j]);
    }
  }
  for (int j = 0; j < V; ++j) storeLanes(acc[j], out + d + j * Vec::kWidth, a.headDim - d - j * Vec::kWidth);
}

bool anyVisible(const uint8_t* mask, int64_t length) {
  for (int64_t p = 0; p < length; ++p)
    if (mask[p]) return true;
  return false;
}

template <class Cache>
void cachedAttentionOf(const CachedAttentionArgs& a, int64_t token, int64_t head, float* scores) {
  const int64_t length = a.lengthOfToken[token];
  const uint8_t* mask = a.maskOfToken ? a.maskOfToken[token] : nullptr;
  if (mask && !anyVisible(mask, length)) {
    for (int64_t p = 0; p < length; ++p) scores[p] = 0.0f;
  } else {
    cacheScores<Cache>(a, token, head, mask, scores);
    softmaxRow(scores, length, 1.0f);
  }
  float* out = a.out + token * a.ldo + head * a.headDim;
  constexpr int W = Vec::kWidth;
  int64_t d = 0;
  for (; d + 4 * W <= a.headDim; d += 4 * W) mixValues<Cache, 4>(a, token, head, d, scores, mask, out);
  for (; d < a.headDim; d += W) mixValues<Cache, 1>(a, token, head, d, scores, mask, out);
  if (!a.probabilities) return;
  float* row = a.probabilities + (token * a.heads + head) * a.capacity;
  for (int64_t p = 0; p < a.capacity; ++p) row[p] = p < length ? scores[p] : 0.0f;
}

void cachedAttention(const CachedAttentionArgs& a, int64_t token, int64_t head, float* scores) {
  if (a.cacheType == CacheType::Float32)
    cachedAttentionOf<CacheFloat32>(a, token, head, scores);
  else
    cachedAttentionOf<CacheBf16>(a, token, head, scores);
}

int64_t firstEqual(const float* x, int64_t n, float value) {
  const Vec v = Vec::set1(value);
  int64_t i = 0;
  while (i + Vec::kWidth <= n && !Vec::anyEqual(Vec::load(x + i), v)) i += Vec::kWidth;
  while (i < n && x[i] != value) ++i;
  return i < n ? i : 0;
}

RowSummary summarizeRow(const float* logits, int64_t vocab) {
  Vec top = Vec::set1(kLowest);
  forVectors(vocab, [&](int64_t i, int64_t n) { top = Vec::max(loadFilled(logits + i, n, kLowest), top); });
  const float max = Vec::reduceMax(top);
  const bool finite = max - max == 0.0f;
  // With an infinite maximum the sum only tells whether there is a NaN.
  const Vec shift = Vec::set1(finite ? max : 0.0f);
  Vec sum = Vec::zero();
  forVectors(vocab, [&](int64_t i, int64_t n) {
    sum = Vec::add(sum, exp(Vec::sub(loadFilled(logits + i, n, kLowest), shift)));
  });
  const float total = Vec::reduceAdd(sum);
  RowSummary s;
  s.max = max;
  s.argmax = max == kLowest ? 0 : static_cast<int32_t>(firstEqual(logits, vocab, max));
  s.logSumExp = total != total ? total : finite ? max + logf(total) : max;
  return s;
}

}  // namespace
}  // namespace ved::ops::cpu
