#include <algorithm>
#include <cstring>

#include "ops/cpu/blocks.h"
#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/head_attention.h"
#include "ops/cpu/pool_rows.h"
#include "ops/cpu/relative_bias.h"

namespace ved::ops::cpu {

namespace {

// Some queries of one (image, unit, head). Sizes in floats.
struct EncoderHead {
  const KernelTable& kernels;
  const AttentionKernels& ops;
  const EncoderAttentionArgs& a;
  const float* q;  // first query of the unit and head
  int64_t ld;
  float* out;
  int64_t ldo;
  int64_t head;
  int64_t tokens;  // of the unit
  HeadAttention attention;

  int64_t nr() const { return attention.width(); }
  int64_t queries() const { return tokens / a.pool; }
  int64_t pooledSize() const { return a.pool > 1 ? nr() * a.headDim : 0; }
  int64_t biasSize() const { return a.bias ? 2 * tokens * nr() + kPackSlack : 0; }
  int64_t scratchSize() const { return attention.scratchSize() + std::max(biasSize(), pooledSize()); }

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

  void packQueries(int64_t row, int64_t rows, void* lanes, float* scratch) const {
    if (a.pool == 1) return ops.packLanes(q + row * ld, ld, rows, a.headDim, lanes);
    for (int64_t i = 0; i < rows; ++i)
      poolRows(q + (row + i) * ld, queries() * ld, a.pool, a.headDim, scratch + i * a.headDim);
    ops.packLanes(scratch, a.headDim, rows, a.headDim, lanes);
  }

  void run(int64_t firstRow, int64_t lastRow, float* scratch) const {
    float* own = scratch + attention.scratchSize();
    attention.packKeysAndValues(q + a.heads * a.headDim, q + 2 * a.heads * a.headDim, scratch);
    for (int64_t row = firstRow; row < lastRow; row += nr()) {
      const int64_t rows = std::min(nr(), lastRow - row);
      packQueries(row, rows, attention.lanes(scratch), own);
      if (row + rows < lastRow && a.pool == 1) attention.fetchRows(q, row + rows, nr());
      attention.score(rows, scratch);
      if (a.bias) addBias(row, rows, attention.strip(scratch), own);
      attention.mix(rows, a.bias ? 1.0f : a.scale, out + row * ldo, ldo, scratch);
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
  // Products of float32 take long enough to hide where rows lie.
  const HeadAttention attention(*kernels_, ops, tokens, a.headDim, a.units * 3 * width, ops.gemm->unit > 1);
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
                          tokens,
                          attention};
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
