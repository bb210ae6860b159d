// The CPU backend: one table of kernels, one thread pool, scratch memory per worker. Nothing lives outside the object.
#pragma once
#include <vector>

#include "core/aligned.h"
#include "core/thread_pool.h"
#include "ops/backend.h"
#include "ops/cpu/cpu_weight.h"

namespace ved::ops::cpu {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const KernelTable& kernels, int threads);
  std::string name() const override { return std::string("cpu:") + kernels_->name; }
  bool fusesEpilogues() const override { return true; }
  int threads() const override { return pool_.threads(); }

  void parallelFor(int64_t count, const std::function<void(int64_t, int)>& body) override {
    pool_.parallelFor(count, body);
  }
  std::unique_ptr<LinearWeight> makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) override;
  const float* biasOf(const LinearWeight& weight) const override;

  bool readsRows() const override { return true; }

  void linear(const LinearArgs&) override;
  void layerNorm(const LayerNormArgs&) override;
  void encoderAttention(const EncoderAttentionArgs&) override;
  void windowAttention(const WindowAttentionArgs&) override;
  void cachedAttention(const CachedAttentionArgs&) override;
  void ngramAttention(const NgramAttentionArgs&) override;
  void writeCache(const WriteCacheArgs&) override;
  void patches(const PatchesArgs&) override;
  void mergeCells(const MergeCellsArgs&) override;
  void assembleTokens(const AssembleTokensArgs&) override;
  void embedTokens(const EmbedTokensArgs&) override;
  void addBias(const AddBiasArgs&) override;
  void activate(const ActivateArgs&) override;
  void add(const AddArgs&) override;
  void scaleColumns(const ScaleColumnsArgs&) override;
  void poolTokens(const PoolTokensArgs&) override;
  void addPositions(const AddPositionsArgs&) override;
  void rotate(const RotateArgs&) override;
  void turnPairs(const TurnPairsArgs&) override;
  void gate(const GateArgs&) override;
  void summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, RowSummary* out) override;

 private:
  // body(first, last) over chunks of rows; on the calling thread alone when the whole is not worth waking anybody.
  template <class Body>
  void forRows(int64_t rows, int64_t floatsPerRow, Body&& body) {
    constexpr int64_t kWorthWaking = 32 * 1024;  // floats touched: a few microseconds
    const bool small = rows < 2 || rows * floatsPerRow < kWorthWaking;
    const int64_t chunks = small ? 1 : rows < 8 * threads() ? rows : 8 * threads();
    pool_.parallelFor(chunks, [&](int64_t c, int) { body(rows * c / chunks, rows * (c + 1) / chunks); });
  }

  const KernelTable* kernels_;
  ThreadPool pool_;
  Arena weights_;                       // where the panels of matrices lie
  AlignedFloats packed_;                // the rows of the linear op in progress, in tiles of 4-byte elements
  AlignedFloats windowBias_;            // of the window attention in progress, laid out
  AlignedFloats rowScale_;              // and their scales, in int8
  std::vector<AlignedFloats> scratch_;  // by worker
};

}  // namespace ved::ops::cpu
