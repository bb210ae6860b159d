// Attention inside shifted windows: the cells of a window are gathered by index, one head at a time. Nothing is rolled
// or partitioned in memory.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ops/cpu/blocks.h"
#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/head_attention.h"
#include "ops/cpu/relative_bias.h"

namespace ved::ops::cpu {
namespace {

// What all windows of a call share.
struct Windows {
  const KernelTable& kernels;
  const AttentionKernels& ops;
  const WindowAttentionArgs& a;
  int64_t cells;
  HeadAttention attention;

  Windows(const KernelTable& table, const AttentionKernels& kinds, const WindowAttentionArgs& args)
      : kernels(table),
        ops(kinds),
        a(args),
        cells(args.map.side * args.map.side),
        attention(table, kinds, cells, args.headDim, 3 * args.headDim, false) {}

  int64_t width() const { return attention.width(); }
  // Scratch of a worker: that of the attention, the gathered q | k | v of a head, and its results.
  int64_t gathered() const { return attention.scratchSize(); }
  int64_t results() const { return gathered() + padded(cells * 3 * a.headDim, 16); }
  int64_t scratchSize() const { return results() + padded(cells * a.headDim, 16); }

  // Biases of a head as strips, one per panel of queries: [cells][width].
  int64_t biasSize() const { return ceilDiv(cells, width()) * cells * width(); }
  void layOutBias(int64_t head, float* strips) const {
    std::fill(strips, strips + biasSize(), 0.0f);
    const int64_t side = a.map.side, span = 2 * side - 1;
    const float* table = a.bias.table + head * span * span;
    for (int64_t query = 0; query < cells; ++query) {
      float* lane = strips + query / width() * cells * width() + query % width();
      for (int64_t key = 0; key < cells; ++key) lane[key * width()] = table[relativeIndex(side, side, query, key)];
    }
  }
};

// The cells of one window: which rows of the map they are, and which of them see each other.
class Window {
 public:
  Window(const Windows& shared, int64_t image, int64_t number) : w_(shared), a_(shared.a), image_(image) {
    for (int64_t cell = 0; cell < w_.cells; ++cell) {
      tokens_.push_back(windowToken(a_.map, number, cell));
      regions_.push_back(windowRegion(a_.map, number, cell));
      torn_ |= regions_.back() != regions_.front();
    }
  }

  void run(int64_t head, const float* bias, float* scratch) const {
    float* gathered = scratch + w_.gathered();
    float* results = scratch + w_.results();
    gather(head, gathered);
    w_.attention.packKeysAndValues(gathered + a_.headDim, gathered + 2 * a_.headDim, scratch);
    for (int64_t row = 0; row < w_.cells; row += w_.width(), bias += w_.cells * w_.width()) {
      const int64_t rows = std::min(w_.width(), w_.cells - row);
      w_.ops.packLanes(gathered + row * 3 * a_.headDim, 3 * a_.headDim, rows, a_.headDim, w_.attention.lanes(scratch));
      w_.attention.score(rows, scratch);
      addBias(rows, a_.scale[head], bias, w_.attention.strip(scratch));
      if (torn_) addMask(row, rows, w_.attention.strip(scratch));
      w_.attention.mix(rows, 1.0f, results + row * a_.headDim, a_.headDim, scratch);
    }
    scatter(head, results);
  }

 private:
  void gather(int64_t head, float* to) const {
    constexpr int64_t kAhead = 8;  // cells
    const int64_t dim = a_.headDim, width = a_.heads * dim, cells = w_.cells;
    const float* qkv = a_.qkv + image_ * a_.map.height * a_.map.width * 3 * width + head * dim;
    const auto rowOf = [&](int64_t cell) {
      const int64_t token = tokens_[static_cast<size_t>(cell)];
      return token < 0 ? a_.padding + head * dim : qkv + token * 3 * width;
    };
    for (int64_t cell = 0; cell < cells; ++cell, to += 3 * dim) {
      const float* ahead = rowOf(std::min(cells - 1, cell + kAhead));
      const float* from = rowOf(cell);
      for (int64_t part = 0; part < 3; ++part) {
        prefetchRow(ahead + part * width, dim);
        std::memcpy(to + part * dim, from + part * width, static_cast<size_t>(dim) * sizeof(float));
      }
      if (a_.similarity != Similarity::Cosine) continue;
      normalise(to);
      normalise(to + dim);
    }
  }

  void normalise(float* row) const {
    float squares = 0;
    for (int64_t d = 0; d < a_.headDim; ++d) squares += row[d] * row[d];
    const float inverse = 1.0f / std::max(std::sqrt(squares), 1e-12f);
    for (int64_t d = 0; d < a_.headDim; ++d) row[d] *= inverse;
  }

  void addBias(int64_t rows, float scale, const float* bias, float* strip) const {
    const int64_t lanes = w_.attention.lanesOf(rows);
    for (int64_t key = 0; key < w_.cells; ++key, strip += w_.width(), bias += w_.width())
      for (int64_t i = 0; i < lanes; ++i) strip[i] = scale * strip[i] + bias[i];
  }

  void addMask(int64_t row, int64_t rows, float* strip) const {
    for (int64_t key = 0; key < w_.cells; ++key)
      for (int64_t i = 0; i < rows; ++i)
        if (regions_[static_cast<size_t>(key)] != regions_[static_cast<size_t>(row + i)])
          strip[key * w_.width() + i] += a_.mask;
  }

  void scatter(int64_t head, const float* results) const {
    const int64_t dim = a_.headDim, width = a_.heads * dim;
    float* out = a_.out + image_ * a_.map.height * a_.map.width * width + head * dim;
    for (size_t cell = 0; cell < tokens_.size(); ++cell, results += dim)
      if (tokens_[cell] >= 0)
        std::memcpy(out + tokens_[cell] * width, results, static_cast<size_t>(dim) * sizeof(float));
  }

  const Windows& w_;
  const WindowAttentionArgs& a_;
  int64_t image_;
  std::vector<int64_t> tokens_;
  std::vector<int> regions_;
  bool torn_ = false;
};

}  // namespace

void CpuBackend::windowAttention(const WindowAttentionArgs& a) {
  const bool narrow = a.type != ComputeType::Float32 && kernels_->attentionBf16.gemm;
  const Windows shared(*kernels_, narrow ? kernels_->attentionBf16 : kernels_->attentionF32, a);
  float* bias = windowBias_.atLeast(static_cast<size_t>(a.heads * shared.biasSize()));
  pool_.parallelFor(a.heads, [&](int64_t head, int) { shared.layOutBias(head, bias + head * shared.biasSize()); });
  // A task is a window and some of its heads: all of them where there are windows enough.
  const int64_t windows = windowCount(a.map), items = a.batch * windows;
  const int64_t parts = threads() == 1 ? 1 : std::clamp<int64_t>(ceilDiv(8 * threads(), items), 1, a.heads);
  pool_.parallelFor(items * parts, [&](int64_t index, int worker) {
    const int64_t item = index / parts, part = index % parts;
    const Window window(shared, item / windows, item % windows);
    float* scratch = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(shared.scratchSize()));
    for (int64_t head = a.heads * part / parts; head < a.heads * (part + 1) / parts; ++head)
      window.run(head, bias + head * shared.biasSize(), scratch);
  });
}

}  // namespace ved::ops::cpu
