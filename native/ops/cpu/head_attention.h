// Attention of one head with the queries in the lanes, a panel of them at a time. Keys and values are the operands of
// the panel kernels, in tiles of rows and of columns; a panel of queries needs a strip [tokens, panelWidth] of scores
// and no more.
#pragma once
#include <algorithm>

#include "ops/cpu/blocks.h"
#include "ops/cpu/kernel_table.h"

namespace ved::ops::cpu {

#if defined(__GNUC__)
inline void prefetchRow(const float* x, int64_t width) {
  for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(x + i, 0, 2);
}
inline void prefetchForWriting(const float* x, int64_t width) {
  for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(x + i, 1, 3);
}
#else
inline void prefetchRow(const float*, int64_t) {}
inline void prefetchForWriting(const float*, int64_t) {}
#endif

// In this order: packKeysAndValues(), then for every panel of queries: lanes are packed, score(), mix().
class HeadAttention {
 public:
  // Rows of keys and values are `ld` floats apart. fetches: they lie far apart, where processors do not prefetch.
  HeadAttention(const KernelTable& kernels, const AttentionKernels& ops, int64_t tokens, int64_t headDim, int64_t ld,
                bool fetches)
      : kernels_(kernels), ops_(ops), tokens_(tokens), headDim_(headDim), ld_(ld), fetches_(fetches) {
    int64_t at = 0;
    const auto take = [&at](int64_t floats) {
      const int64_t begin = at;
      at += padded(floats, 16);
      return begin;
    };
    keys_ = take(tokens * ops.gemm->elements(headDim) + keyTiles() * kPackSlack);
    values_ = take(headDim * ops.gemm->elements(tokens) + valueTiles() * kPackSlack);
    lanes_ = take(ops.gemm->units(headDim) * width() + kPackSlack);
    strip_ = take(tokens * width());
    weights_ = take(ops.gemm->units(tokens) * width());
    sums_ = take(headDim * width());
    size_ = at;
  }

  int64_t width() const { return kernels_.panelWidth; }  // queries of a panel
  // Of the strip, for so many queries: what score() writes.
  int64_t lanesOf(int64_t rows) const { return 2 * rows <= width() ? width() / 2 : width(); }
  int64_t scratchSize() const { return size_; }  // floats, 64-byte aligned
  void* lanes(float* scratch) const { return scratch + lanes_; }
  float* strip(float* scratch) const { return scratch + strip_; }  // scores [tokens][width()]

  void packKeysAndValues(const float* k, const float* v, float* scratch) const {
    for (int64_t t = 0, n = keyTiles(); t < n; ++t) {
      const int64_t row = begin(tokens_, t, n), rows = begin(tokens_, t + 1, n) - row;
      fetchRows(k, row + rows, ops_.gemm->tileRows);
      fetchRows(v, row, rows);
      ops_.gemm->packOperand(k + row * ld_, ld_, rows, headDim_, keyTile(scratch, t, row), nullptr);
    }
    for (int64_t t = 0, n = valueTiles(); t < n; ++t) {
      const int64_t column = begin(headDim_, t, n), columns = begin(headDim_, t + 1, n) - column;
      ops_.packValues(v + column, ld_, tokens_, columns, valueTile(scratch, t, column));
    }
  }

  // strip = products of all keys with the packed queries.
  void score(int64_t rows, float* scratch) const {
    const float* lanes = scratch + lanes_;
    for (int64_t t = 0, n = keyTiles(); t < n; ++t) {
      const int64_t key = begin(tokens_, t, n), count = begin(tokens_, t + 1, n) - key;
      multiply(rows)[count](keyTile(scratch, t, key), lanes, ops_.gemm->units(headDim_),
                            scratch + strip_ + key * width(), width(), lanes, 0);
    }
  }

  // out[i] = softmax over the keys of scale * strip, times the values. scale >= 0.
  void mix(int64_t rows, float scale, float* out, int64_t ldo, float* scratch) const {
    alignas(64) float inverse[kMaxPanelWidth];
    float* weights = scratch + weights_;
    float* sums = scratch + sums_;
    ops_.softmax(scratch + strip_, tokens_, rows, scale, weights, inverse);
    for (int64_t i = 0; fetches_ && i < rows; ++i) prefetchForWriting(out + i * ldo, headDim_);
    for (int64_t t = 0, n = valueTiles(); t < n; ++t) {
      const int64_t column = begin(headDim_, t, n), count = begin(headDim_, t + 1, n) - column;
      multiply(rows)[count](valueTile(scratch, t, column), weights, ops_.gemm->units(tokens_), sums + column * width(),
                            width(), weights, 0);
    }
    kernels_.storeQueries(sums, headDim_, rows, inverse, out, ldo);
  }

  void fetchRows(const float* from, int64_t row, int64_t rows) const {
    if (!fetches_) return;
    for (int64_t i = row; i < std::min(tokens_, row + rows); ++i) prefetchRow(from + i * ld_, headDim_);
  }

 private:
  int64_t keyTiles() const { return ceilDiv(tokens_, ops_.gemm->tileRows); }
  int64_t valueTiles() const { return ceilDiv(headDim_, ops_.gemm->tileRows); }
  static int64_t begin(int64_t size, int64_t tile, int64_t tiles) { return size * tile / tiles; }
  const PanelKernel* multiply(int64_t rows) const { return 2 * rows <= width() ? ops_.gemm->half : ops_.gemm->panel; }
  float* keyTile(float* scratch, int64_t tile, int64_t row) const {
    return scratch + keys_ + row * ops_.gemm->elements(headDim_) + tile * kPackSlack;
  }
  float* valueTile(float* scratch, int64_t tile, int64_t column) const {
    return scratch + values_ + column * ops_.gemm->elements(tokens_) + tile * kPackSlack;
  }

  const KernelTable& kernels_;
  const AttentionKernels& ops_;
  int64_t tokens_, headDim_, ld_;
  bool fetches_;
  int64_t keys_, values_, lanes_, strip_, weights_, sums_, size_;
};

}  // namespace ved::ops::cpu
