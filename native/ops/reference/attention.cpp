#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/reference/reference.h"

namespace ved::ops::reference {

namespace {

float cached(const void* base, int64_t index, CacheType type) {
  if (type == CacheType::Float32) return static_cast<const float*>(base)[index];
  const uint16_t bits = static_cast<const uint16_t*>(base)[index];
  return type == CacheType::BFloat16 ? bfloat16ToFloat(bits) : float16ToFloat(bits);
}

void store(void* base, int64_t index, CacheType type, float value) {
  if (type == CacheType::Float32)
    static_cast<float*>(base)[index] = value;
  else
    static_cast<uint16_t*>(base)[index] = type == CacheType::BFloat16 ? bfloat16Bits(value) : float16Bits(value);
}

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// In place; hidden positions are -inf. A row with nothing visible becomes all zeros.
void softmax(std::vector<double>& s) {
  const double hidden = -std::numeric_limits<double>::infinity();
  double max = hidden;
  for (double v : s) max = std::max(max, v);
  double sum = 0;
  for (double& v : s) {
    v = v == hidden ? 0.0 : std::exp(v - max);
    sum += v;
  }
  for (double& v : s) v = sum == 0 ? 0.0 : v / sum;
}

// The cache slot that holds `position` for token t.
int64_t slotAt(const CachedAttentionArgs& a, int64_t t, int64_t position) {
  return a.slots ? a.slots[a.slotOfToken[t] * a.capacity + position] : a.slotOfToken[t];
}

void cachedOne(const CachedAttentionArgs& a, int64_t t, int64_t h) {
  const int64_t length = a.lengthOfToken[t];
  const uint8_t* mask = a.maskOfToken ? a.maskOfToken[t] : nullptr;
  auto offset = [&](int64_t p) { return ((slotAt(a, t, p) * a.heads + h) * a.capacity + p) * a.headDim; };
  std::vector<double> s(static_cast<size_t>(length), -std::numeric_limits<double>::infinity());
  for (int64_t p = 0; p < length; ++p)
    if (!mask || mask[p]) {
      double sum = 0;
      for (int64_t d = 0; d < a.headDim; ++d)
        sum += static_cast<double>(a.q[t * a.ldq + h * a.headDim + d]) * cached(a.keys, offset(p) + d, a.cacheType);
      s[p] = a.scale * sum;
    }
  softmax(s);
  for (int64_t d = 0; d < a.headDim; ++d) {
    double sum = 0;
    for (int64_t p = 0; p < length; ++p)
      if (!mask || mask[p]) sum += s[p] * cached(a.values, offset(p) + d, a.cacheType);
    a.out[t * a.ldo + h * a.headDim + d] = static_cast<float>(sum);
  }
  if (!a.probabilities) return;
  float* row = a.probabilities + (t * a.heads + h) * a.capacity;
  for (int64_t p = 0; p < a.capacity; ++p) row[p] = p < length ? static_cast<float>(s[p]) : 0.0f;
}

// The bias of query t and key u; tokens are the prefix and then the cells of the grid.
double biasOf(const RelativeBias& b, int64_t head, int64_t t, int64_t u) {
  if (t < b.prefix || u < b.prefix) return b.classes[head * 3 + (t >= b.prefix ? 1 : u >= b.prefix ? 0 : 2)];
  const int64_t cells = (2 * b.gridH - 1) * (2 * b.gridW - 1);
  return b.table[head * cells + relativeIndex(b.gridH, b.gridW, t - b.prefix, u - b.prefix)];
}

double normOf(const float* x, int64_t n) { return std::max(std::sqrt(dot(x, x, n)), 1e-12); }

void windowOne(const WindowAttentionArgs& a, int64_t image, int64_t window, int64_t head) {
  const int64_t cells = a.map.side * a.map.side, width = a.heads * a.headDim;
  const auto row = [&](int64_t cell) {
    const int64_t token = windowToken(a.map, window, cell);
    return (token < 0 ? a.padding : a.qkv + (image * a.map.height * a.map.width + token) * 3 * width) +
           head * a.headDim;
  };
  std::vector<double> s(static_cast<size_t>(cells));
  for (int64_t t = 0; t < cells; ++t) {
    const int64_t token = windowToken(a.map, window, t);
    if (token < 0) continue;
    const float* q = row(t);
    for (int64_t u = 0; u < cells; ++u) {
      const float* k = row(u) + width;
      double score = dot(q, k, a.headDim);
      if (a.similarity == Similarity::Cosine) score /= normOf(q, a.headDim) * normOf(k, a.headDim);
      s[u] = a.scale[head] * score + biasOf(a.bias, head, t, u);
      if (windowRegion(a.map, window, t) != windowRegion(a.map, window, u)) s[u] += a.mask;
    }
    softmax(s);
    float* out = a.out + (image * a.map.height * a.map.width + token) * width + head * a.headDim;
    for (int64_t d = 0; d < a.headDim; ++d) {
      double sum = 0;
      for (int64_t u = 0; u < cells; ++u) sum += s[u] * row(u)[2 * width + d];
      out[d] = static_cast<float>(sum);
    }
  }
}

void ngramOne(const NgramAttentionArgs& n, int64_t s, int64_t t, int64_t h) {
  const CachedAttentionArgs& a = n.main;
  const int64_t length = a.lengthOfToken[t], inner = a.heads * a.headDim, row = (1 + s) * a.tokens + t;
  const uint8_t* mask = a.maskOfToken ? a.maskOfToken[t] : nullptr;
  const float* q = a.q + row * a.ldq + h * a.headDim;
  const RelativeSource source = relativeSource(n, s, t, h);
  const auto relative = [&](int64_t distance) {
    return n.relative[(source.row * n.buckets + n.bucketOfDistance[distance]) * a.heads + source.head];
  };
  const auto offset = [&](int64_t p) { return ((slotAt(a, t, p) * a.heads + h) * a.capacity + p) * a.headDim; };
  const auto visible = [&](int64_t p) { return (s <= 0 || p < length - s || p == 0) && (!mask || mask[p]); };
  std::vector<double> scores(static_cast<size_t>(length + 1), -std::numeric_limits<double>::infinity());
  for (int64_t p = 0; p < length; ++p) {
    if (!visible(p)) continue;
    double sum = 0;
    for (int64_t d = 0; d < a.headDim; ++d)
      sum += static_cast<double>(q[d]) * cached(a.keys, offset(p) + d, a.cacheType);
    scores[p] = a.scale * sum + relative(s < 0 ? length - 1 - p : length - p);
  }
  if (s >= 0) scores[length] = a.scale * dot(q, q + inner, a.headDim) + relative(0);
  softmax(scores);
  for (int64_t d = 0; d < a.headDim; ++d) {
    double sum = s < 0 ? 0.0 : scores[length] * q[2 * inner + d];
    for (int64_t p = 0; p < length; ++p)
      if (visible(p)) sum += scores[p] * cached(a.values, offset(p) + d, a.cacheType);
    a.out[row * a.ldo + h * a.headDim + d] = static_cast<float>(sum);
  }
}

}  // namespace

void ngramAttention(const NgramAttentionArgs& a) {
  for (int64_t s = -1; s < a.streams; ++s)
    for (int64_t t = 0; t < a.main.tokens; ++t)
      for (int64_t h = 0; h < a.main.heads; ++h) ngramOne(a, s, t, h);
}

void windowAttention(const WindowAttentionArgs& a) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t w = 0; w < windowCount(a.map); ++w)
      for (int64_t h = 0; h < a.heads; ++h) windowOne(a, b, w, h);
}

void encoderAttention(const EncoderAttentionArgs& a) {
  const int64_t width = a.heads * a.headDim, ld = 3 * width, queries = a.tokens / a.pool;
  std::vector<double> s(static_cast<size_t>(a.tokens));
  std::vector<float> query(static_cast<size_t>(a.headDim));
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t t = 0; t < queries; ++t) {
        const float* image = a.qkv + b * a.tokens * ld + h * a.headDim;
        std::copy_n(image + t * ld, a.headDim, query.data());
        for (int64_t g = 1; g < a.pool; ++g)
          for (int64_t d = 0; d < a.headDim; ++d) {
            const float value = image[(g * queries + t) * ld + d];
            if (value > query[d] || std::isnan(value)) query[d] = value;
          }
        for (int64_t u = 0; u < a.tokens; ++u) {
          s[u] = a.scale * dot(query.data(), image + u * ld + width, a.headDim);
          if (u % a.units != t % a.units) s[u] = -std::numeric_limits<double>::infinity();
          if (a.bias) s[u] += biasOf(*a.bias, h, t, u);
        }
        softmax(s);
        for (int64_t d = 0; d < a.headDim; ++d) {
          double sum = 0;
          for (int64_t u = t % a.units; u < a.tokens; u += a.units) sum += s[u] * image[u * ld + 2 * width + d];
          a.out[(b * queries + t) * width + h * a.headDim + d] = static_cast<float>(sum);
        }
      }
}

void cachedAttention(const CachedAttentionArgs& a) {
  for (int64_t t = 0; t < a.tokens; ++t)
    for (int64_t h = 0; h < a.heads; ++h) cachedOne(a, t, h);
}

void writeCache(const WriteCacheArgs& a) {
  for (int64_t t = 0; t < a.tokens; ++t)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t d = 0; d < a.headDim; ++d) {
        const int64_t to = ((a.slotOfToken[t] * a.heads + h) * a.capacity + a.positionOfToken[t]) * a.headDim + d;
        store(a.keys, to, a.cacheType, a.k[t * a.ldk + h * a.headDim + d]);
        store(a.values, to, a.cacheType, a.v[t * a.ldv + h * a.headDim + d]);
      }
}

}  // namespace ved::ops::reference
