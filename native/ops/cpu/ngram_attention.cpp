// Attention of predicting streams over a slot cache, in plain C++: what it computes is little beside the linear maps.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/compute_type.h"
#include "ops/cpu/cpu_backend.h"

namespace ved::ops::cpu {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();
constexpr int64_t kLanes = 8;

float value(float x) { return x; }
float value(uint16_t bits) { return bfloat16ToFloat(bits); }

// In lanes, so that compilers use vectors.
template <class Element>
float dot(const float* a, const Element* b, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * value(b[i + lane]);
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < n; ++i) sum += a[i] * value(b[i]);
  return sum;
}

template <class Element>
void addTo(float* out, float weight, const Element* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] += weight * value(x[i]);
}

// One head of one row of stream s (-1: main). Element: of the cache.
template <class Element>
struct Query {
  const NgramAttentionArgs& n;
  const CachedAttentionArgs& a;
  int64_t s, t, h;

  int64_t offset(int64_t p) const {
    const int64_t slot = a.slots ? a.slots[a.slotOfToken[t] * a.capacity + p] : a.slotOfToken[t];
    return ((slot * a.heads + h) * a.capacity + p) * a.headDim;
  }
  bool visible(int64_t p, int64_t length) const {
    const uint8_t* mask = a.maskOfToken ? a.maskOfToken[t] : nullptr;
    return (s <= 0 || p < length - s || p == 0) && (!mask || mask[p]);
  }

  // scores: [capacity + 1]
  void run(float* scores) const {
    const int64_t length = a.lengthOfToken[t], row = (1 + s) * a.tokens + t, inner = a.heads * a.headDim;
    const float* q = a.q + row * a.ldq + h * a.headDim;
    const RelativeSource source = relativeSource(n, s, t, h);
    const float* relative = n.relative + source.row * n.buckets * a.heads + source.head;
    const auto* keys = static_cast<const Element*>(a.keys);
    const auto* values = static_cast<const Element*>(a.values);
    const int64_t last = s < 0 ? length - 1 : length;  // distance of key 0
    for (int64_t p = 0; p < length; ++p)
      scores[p] = visible(p, length)
                      ? a.scale * dot(q, keys + offset(p), a.headDim) + relative[n.bucketOfDistance[last - p] * a.heads]
                      : kHidden;
    const int64_t count = s < 0 ? length : length + 1;
    if (s >= 0) scores[length] = a.scale * dot(q, q + inner, a.headDim) + relative[n.bucketOfDistance[0] * a.heads];
    const float max = *std::max_element(scores, scores + count);
    float sum = 0;
    for (int64_t p = 0; p < count; ++p) {
      scores[p] = scores[p] == kHidden ? 0.0f : std::exp(scores[p] - max);
      sum += scores[p];
    }
    const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
    float* out = a.out + row * a.ldo + h * a.headDim;
    std::fill(out, out + a.headDim, 0.0f);
    for (int64_t p = 0; p < length; ++p)
      if (scores[p] != 0.0f) addTo(out, scores[p] * inverse, values + offset(p), a.headDim);
    if (s >= 0) addTo(out, scores[length] * inverse, q + 2 * inner, a.headDim);
  }
};

}  // namespace

void CpuBackend::ngramAttention(const NgramAttentionArgs& n) {
  const CachedAttentionArgs& a = n.main;
  const int64_t jobs = (1 + n.streams) * a.tokens * a.heads;
  pool_.parallelFor(jobs, [&](int64_t job, int worker) {
    float* scores = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(a.capacity + 1));
    const int64_t head = job % a.heads, token = job / a.heads % a.tokens, stream = job / a.heads / a.tokens - 1;
    if (a.cacheType == CacheType::Float32)
      Query<float>{n, a, stream, token, head}.run(scores);
    else
      Query<uint16_t>{n, a, stream, token, head}.run(scores);
  });
}

}  // namespace ved::ops::cpu
