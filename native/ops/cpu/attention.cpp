#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/relative_bias.h"

namespace ved::ops::cpu {

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t padded(int64_t n, int64_t unit) { return ceilDiv(n, unit) * unit; }

// One (image, head), some of its queries. Keys become panels over the positions, values panels over the head's width;
// a tile of queries then needs a strip [MR, tokens] of scores and no more.
struct EncoderHead {
  const KernelTable& kernels;
  const EncoderAttentionArgs& a;
  const float* q;  // first query of the head, row stride ld
  int64_t ld;
  float* out;  // row stride heads * headDim
  int64_t head;

  int64_t nr() const { return kernels.panelWidth; }
  int64_t stripWidth() const { return padded(a.tokens, nr()); }
  int64_t keyFloats() const { return stripWidth() * a.headDim + kPackSlack; }
  int64_t valueFloats() const { return padded(a.headDim, nr()) * a.tokens; }
  int64_t queryFloats() const { return padded(kernels.tileRows * a.headDim + kPackSlack, 16); }
  int64_t stripFloats() const { return kernels.tileRows * stripWidth(); }
  int64_t weightFloats() const { return kernels.tileRows * a.tokens + kPackSlack; }
  int64_t scratchFloats() const {
    return padded(keyFloats(), 16) + padded(valueFloats(), 16) + queryFloats() + padded(stripFloats(), 16) +
           weightFloats();
  }

  void packKeys(float* keys) const {
    const float* k = q + a.heads * a.headDim;
    for (int64_t t = 0; t < a.tokens; t += nr())
      kernels.packRows(k + t * ld, ld, std::min(nr(), a.tokens - t), a.headDim, keys + t * a.headDim, nr());
  }

  void packValues(float* values) const {
    const float* v = q + 2 * a.heads * a.headDim;
    for (int64_t d = 0; d < a.headDim; d += nr()) {
      const int64_t columns = std::min(nr(), a.headDim - d);
      float* panel = values + d * a.tokens;
      for (int64_t t = 0; t < a.tokens; ++t) {
        std::memcpy(panel + t * nr(), v + t * ld + d, static_cast<size_t>(columns) * sizeof(float));
        std::fill(panel + t * nr() + columns, panel + (t + 1) * nr(), 0.0f);
      }
    }
  }

  void mix(const float* weights, const float* values, int64_t row, int64_t rows) const {
    alignas(64) float tile[kMaxTileRows * kMaxPanelWidth];
    const int64_t width = a.heads * a.headDim;
    for (int64_t d = 0; d < a.headDim; d += nr()) {
      const int64_t columns = std::min(nr(), a.headDim - d);
      const bool whole = columns == nr();
      float* to = out + row * width + d;
      kernels.panel[rows](weights, values + d * a.tokens, a.tokens, whole ? to : tile, whole ? width : nr(), values, 0);
      for (int64_t i = 0; !whole && i < rows; ++i)
        std::memcpy(to + i * width, tile + i * nr(), static_cast<size_t>(columns) * sizeof(float));
    }
  }

  void run(int64_t firstRow, int64_t lastRow, float* scratch) const {
    float* keys = scratch;
    float* values = keys + padded(keyFloats(), 16);
    float* query = values + padded(valueFloats(), 16);
    float* strip = query + queryFloats();
    float* weights = strip + padded(stripFloats(), 16);
    // Lanes behind the last position are computed and ignored, but must not be uninitialised memory.
    const int64_t lastPanel = (stripWidth() - nr()) * a.headDim;
    std::fill(keys + lastPanel, keys + keyFloats(), 0.0f);
    packKeys(keys);
    packValues(values);
    const int64_t count = lastRow - firstRow, tiles = ceilDiv(count, kernels.tileRows);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t row = firstRow + count * t / tiles, rows = firstRow + count * (t + 1) / tiles - row;
      kernels.packRows(q + row * ld, ld, rows, a.headDim, query, rows);
      for (int64_t n = 0; n < a.tokens; n += nr())
        kernels.panel[rows](query, keys + n * a.headDim, a.headDim, strip + n, stripWidth(), keys, 0);
      for (int64_t i = 0; i < rows; ++i) {
        float* scores = strip + i * stripWidth();
        if (a.bias) addRelativeBias(*a.bias, head, row + i, a.scale, scores);
        kernels.softmaxRow(scores, a.tokens, a.bias ? 1.0f : a.scale);
      }
      kernels.packRows(strip, stripWidth(), rows, a.tokens, weights, rows);
      mix(weights, values, row, rows);
    }
  }
};

}  // namespace

void CpuBackend::encoderAttention(const EncoderAttentionArgs& a) {
  const int64_t pairs = a.batch * a.heads, width = a.heads * a.headDim;
  if (pairs <= 0 || a.tokens <= 0) return;
  // With fewer heads than threads want, queries are split too; every part packs the keys again.
  const int64_t wanted = threads() == 1 ? 1 : ceilDiv(4 * threads(), pairs);
  const int64_t parts = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, a.tokens / (4 * kernels_->tileRows)));
  pool_.parallelFor(pairs * parts, [&](int64_t index, int worker) {
    const int64_t pair = index / parts, part = index % parts, image = pair / a.heads, head = pair % a.heads;
    const EncoderHead job{*kernels_,
                          a,
                          a.qkv + image * a.tokens * 3 * width + head * a.headDim,
                          3 * width,
                          a.out + image * a.tokens * width + head * a.headDim,
                          head};
    float* scratch = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(job.scratchFloats()));
    job.run(a.tokens * part / parts, a.tokens * (part + 1) / parts, scratch);
  });
}

void CpuBackend::cachedAttention(const CachedAttentionArgs& a) {
  constexpr int64_t kWorthWaking = 32 * 1024;
  if (a.tokens <= 0 || a.heads <= 0) return;
  int64_t positions = 0;
  for (int64_t t = 0; t < a.tokens; ++t) positions += a.lengthOfToken[t];
  const int64_t pairs = a.tokens * a.heads;
  const bool small = 2 * positions * a.heads * a.headDim < kWorthWaking;
  const int64_t chunks = small ? 1 : std::min<int64_t>(pairs, 8 * threads());
  pool_.parallelFor(chunks, [&](int64_t c, int worker) {
    float* scores = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(a.capacity));
    for (int64_t i = pairs * c / chunks; i < pairs * (c + 1) / chunks; ++i)
      kernels_->cachedAttention(a, i / a.heads, i % a.heads, scores);
  });
}

void CpuBackend::writeCache(const WriteCacheArgs& a) {
  const size_t bytes = static_cast<size_t>(a.headDim) * sizeof(float);
  forRows(a.tokens, 4 * a.heads * a.headDim, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      for (int64_t h = 0; h < a.heads; ++h) {
        const int64_t to = ((a.slotOfToken[t] * a.heads + h) * a.capacity + a.positionOfToken[t]) * a.headDim;
        std::memcpy(a.keys + to, a.k + t * a.ldk + h * a.headDim, bytes);
        std::memcpy(a.values + to, a.v + t * a.ldv + h * a.headDim, bytes);
      }
  });
}

}  // namespace ved::ops::cpu
