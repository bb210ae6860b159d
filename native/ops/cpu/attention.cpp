#include <algorithm>
#include <cstring>

#include "ops/cpu/blocks.h"
#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/pool_rows.h"
#include "ops/cpu/relative_bias.h"

namespace ved::ops::cpu {

namespace {

#if defined(__GNUC__)
void prefetchRow(const float* x, int64_t width) {
  for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(x + i, 0, 2);
}
void prefetchForWriting(const float* x, int64_t width) {
  for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(x + i, 1, 3);
}
#else
void prefetchRow(const float*, int64_t) {}
void prefetchForWriting(const float*, int64_t) {}
#endif

// One (image, unit, head), some of its queries, a panel of them at a time. Keys and values are the operands, in tiles
// of rows and of columns; a panel of queries needs a strip [tokens, panelWidth] of scores and no more. Sizes in 4-byte
// elements.
struct EncoderHead {
  const KernelTable& kernels;
  const AttentionKernels& ops;
  const EncoderAttentionArgs& a;
  const float* q;  // first query of the unit and head, row stride ld
  int64_t ld;
  float* out;  // row stride ldo
  int64_t ldo;
  int64_t head;
  int64_t tokens;  // of the unit

  int64_t nr() const { return kernels.panelWidth; }
  int64_t keyTiles() const { return ceilDiv(tokens, kernels.tileRows); }
  int64_t valueTiles() const { return ceilDiv(a.headDim, kernels.tileRows); }
  int64_t keySize() const { return tokens * ops.gemm->elements(a.headDim) + keyTiles() * kPackSlack; }
  int64_t valueSize() const { return a.headDim * ops.gemm->elements(tokens) + valueTiles() * kPackSlack; }
  int64_t laneSize() const { return ops.gemm->units(a.headDim) * nr() + kPackSlack; }
  int64_t stripSize() const { return tokens * nr(); }
  int64_t weightSize() const { return ops.gemm->units(tokens) * nr(); }
  int64_t sumSize() const { return a.headDim * nr(); }
  int64_t queries() const { return tokens / a.pool; }
  int64_t pooledSize() const { return a.pool > 1 ? nr() * a.headDim : 0; }
  int64_t biasSize() const { return a.bias ? 2 * tokens * nr() + kPackSlack : 0; }
  int64_t scratchSize() const {
    return padded(keySize(), 16) + padded(valueSize(), 16) + padded(laneSize(), 16) + stripSize() + weightSize() +
           sumSize() + std::max(biasSize(), pooledSize());
  }

  float* keyTile(float* keys, int64_t tile, int64_t row) const {
    return keys + row * ops.gemm->elements(a.headDim) + tile * kPackSlack;
  }
  float* valueTile(float* values, int64_t tile, int64_t column) const {
    return values + column * ops.gemm->elements(tokens) + tile * kPackSlack;
  }
  static int64_t begin(int64_t size, int64_t tile, int64_t tiles) { return size * tile / tiles; }

  // Rows of a head lie up to pages apart, where processors do not prefetch by themselves. Products of float32 take long
  // enough to hide that.
  bool fetches() const { return ops.gemm->unit > 1; }
  void fetchRows(const float* from, int64_t row, int64_t rows) const {
    if (!fetches()) return;
    for (int64_t i = row; i < std::min(tokens, row + rows); ++i) prefetchRow(from + i * ld, a.headDim);
  }

  void packKeysAndValues(float* keys, float* values) const {
    const float* k = q + a.heads * a.headDim;
    const float* v = k + a.heads * a.headDim;
    for (int64_t t = 0, n = keyTiles(); t < n; ++t) {
      const int64_t row = begin(tokens, t, n), rows = begin(tokens, t + 1, n) - row;
      fetchRows(k, row + rows, kernels.tileRows);
      fetchRows(v, row, rows);
      ops.gemm->packOperand(k + row * ld, ld, rows, a.headDim, keyTile(keys, t, row), nullptr);
    }
    for (int64_t t = 0, n = valueTiles(); t < n; ++t) {
      const int64_t column = begin(a.headDim, t, n), columns = begin(a.headDim, t + 1, n) - column;
      ops.packValues(v + column, ld, tokens, columns, valueTile(values, t, column));
    }
  }

  // strip = scale * strip + bias. The biases of a query lie in a row over the keys: gathered row by row, then
  // transposed.
  void addBias(int64_t row, int64_t rows, float* strip, float* scratch) const {
    float* panel = scratch + rows * tokens;
    std::fill(scratch, panel, 0.0f);
    for (int64_t i = 0; i < rows; ++i) addRelativeBias(*a.bias, head, row + i, 0.0f, scratch + i * tokens);
    kernels.packRows(scratch, tokens, rows, tokens, panel, nr());
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t i = 0; i < rows; ++i) strip[t * nr() + i] = a.scale * strip[t * nr() + i] + panel[t * nr() + i];
  }

  void packQueries(int64_t row, int64_t rows, float* lanes, float* scratch) const {
    if (a.pool == 1) return ops.packLanes(q + row * ld, ld, rows, a.headDim, lanes);
    for (int64_t i = 0; i < rows; ++i)
      poolRows(q + (row + i) * ld, queries() * ld, a.pool, a.headDim, scratch + i * a.headDim);
    ops.packLanes(scratch, a.headDim, rows, a.headDim, lanes);
  }

  void run(int64_t firstRow, int64_t lastRow, float* scratch) const {
    float* keys = scratch;
    float* values = keys + padded(keySize(), 16);
    float* lanes = values + padded(valueSize(), 16);
    float* strip = lanes + padded(laneSize(), 16);
    float* weights = strip + stripSize();
    float* sums = weights + weightSize();
    packKeysAndValues(keys, values);
    for (int64_t row = firstRow; row < lastRow; row += nr()) {
      const int64_t rows = std::min(nr(), lastRow - row);
      const auto& multiply = 2 * rows <= nr() ? ops.gemm->half : ops.gemm->panel;
      packQueries(row, rows, lanes, sums + sumSize());
      if (row + rows < lastRow && a.pool == 1) fetchRows(q, row + rows, nr());
      for (int64_t t = 0, n = keyTiles(); t < n; ++t) {
        const int64_t key = begin(tokens, t, n), count = begin(tokens, t + 1, n) - key;
        multiply[count](keyTile(keys, t, key), lanes, ops.gemm->units(a.headDim), strip + key * nr(), nr(), lanes, 0);
      }
      alignas(64) float inverse[kMaxPanelWidth];
      if (a.bias) addBias(row, rows, strip, sums + sumSize());
      ops.softmax(strip, tokens, rows, a.bias ? 1.0f : a.scale, weights, inverse);
      for (int64_t i = 0; fetches() && i < rows; ++i) prefetchForWriting(out + (row + i) * ldo, a.headDim);
      for (int64_t t = 0, n = valueTiles(); t < n; ++t) {
        const int64_t column = begin(a.headDim, t, n), count = begin(a.headDim, t + 1, n) - column;
        multiply[count](valueTile(values, t, column), weights, ops.gemm->units(tokens), sums + column * nr(), nr(),
                        weights, 0);
      }
      kernels.storeQueries(sums, a.headDim, rows, inverse, out + row * ldo, ldo);
    }
  }
};

}  // namespace

void CpuBackend::encoderAttention(const EncoderAttentionArgs& a) {
  const int64_t items = a.batch * a.units * a.heads, width = a.heads * a.headDim;
  if (items <= 0 || a.tokens <= 0) return;
  const bool narrow = a.type != ComputeType::Float32 && kernels_->attentionBf16.gemm;
  const AttentionKernels& ops = narrow ? kernels_->attentionBf16 : kernels_->attentionF32;
  const int64_t tokens = a.tokens / a.units, queries = tokens / a.pool;
  // With fewer heads than threads want, queries are split too; every part packs the keys again.
  const int64_t wanted = threads() == 1 ? 1 : ceilDiv(4 * threads(), items);
  const int64_t parts = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, queries / (2 * kernels_->panelWidth)));
  pool_.parallelFor(items * parts, [&](int64_t index, int worker) {
    const int64_t item = index / parts, part = index % parts, head = item % a.heads;
    const int64_t unit = item / a.heads % a.units, image = item / a.heads / a.units;
    const EncoderHead job{*kernels_,
                          ops,
                          a,
                          a.qkv + (image * a.tokens + unit) * 3 * width + head * a.headDim,
                          a.units * 3 * width,
                          a.out + (image * a.tokens / a.pool + unit) * width + head * a.headDim,
                          a.units * width,
                          head,
                          tokens};
    float* scratch = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(job.scratchSize()));
    // Parts are whole panels.
    const int64_t panels = ceilDiv(queries, job.nr());
    const int64_t first = panels * part / parts, last = panels * (part + 1) / parts;
    job.run(first * job.nr(), std::min(queries, last * job.nr()), scratch);
  });
}

void CpuBackend::cachedAttention(const CachedAttentionArgs& a) {
  constexpr int64_t kWorthWaking = 32 * 1024;
  if (a.tokens <= 0 || a.heads <= 0) return;
  int64_t positions = 0;
  // Tokens that read the same keys take turns at a head; otherwise the heads of a token follow, as its keys do.
  bool shared = a.slots != nullptr;
  for (int64_t t = 0; t < a.tokens; ++t) {
    positions += a.lengthOfToken[t];
    shared |= t > 0 && a.slotOfToken[t] == a.slotOfToken[t - 1];
  }
  const int64_t pairs = a.tokens * a.heads;
  const bool small = 2 * positions * a.heads * a.headDim < kWorthWaking;
  const int64_t chunks = small ? 1 : std::min<int64_t>(pairs, 8 * threads());
  pool_.parallelFor(chunks, [&](int64_t c, int worker) {
    float* scores = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(a.capacity));
    for (int64_t i = pairs * c / chunks; i < pairs * (c + 1) / chunks; ++i) {
      const int64_t token = shared ? i % a.tokens : i / a.heads, head = shared ? i / a.tokens : i % a.heads;
      kernels_->cachedAttention(a, token, head, scores);
    }
  });
}

void CpuBackend::writeCache(const WriteCacheArgs& a) {
  const auto copy = [&](const float* from, void* base, int64_t to) {
    if (a.cacheType == CacheType::Float32) {
      std::memcpy(static_cast<float*>(base) + to, from, static_cast<size_t>(a.headDim) * sizeof(float));
      return;
    }
    auto* out = static_cast<uint16_t*>(base) + to;
    if (a.headDim % 2 == 0) return kernels_->weights.roundPairs(from, a.headDim, reinterpret_cast<uint32_t*>(out));
    for (int64_t d = 0; d < a.headDim; ++d) out[d] = bfloat16Bits(from[d]);
  };
  forRows(a.tokens, 4 * a.heads * a.headDim, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      for (int64_t h = 0; h < a.heads; ++h) {
        const int64_t to = ((a.slotOfToken[t] * a.heads + h) * a.capacity + a.positionOfToken[t]) * a.headDim;
        copy(a.k + t * a.ldk + h * a.headDim, a.keys, to);
        copy(a.v + t * a.ldv + h * a.headDim, a.values, to);
      }
  });
}

}  // namespace ved::ops::cpu
