// What one instruction set offers: pointers to its kernels. Drivers (threads, tiling, scratch) are written once on top.
#pragma once
#include <cstdint>

#include "ops/backend.h"

namespace ved::ops::cpu {

inline constexpr int kMaxTileRows = 14;
inline constexpr int kMaxPanelWidth = 32;
// Packed buffers need this many floats behind their end: packRows stores whole vectors.
inline constexpr int64_t kPackSlack = 16;

// c[i, n] = sum_k a[k * MR + i] * b[k * panelWidth + n], summed in the order of k in one accumulator per element:
// the result of a row depends neither on MR nor on its neighbours. `prefetch` is what comes next (lines of 64 bytes).
using PanelKernel = void (*)(const float* a, const float* b, int64_t k, float* c, int64_t ldc, const float* prefetch,
                             int64_t prefetchLines);

// y[i, n] = act(tile[i * panelWidth + n] + bias[n]) + residual[i, n] for n < columns <= panelWidth
struct EpilogueArgs {
  const float* tile;
  int64_t rows;
  int64_t columns;
  const float* bias;      // padded to the panel width, or nullptr
  const float* residual;  // or nullptr
  int64_t ldr;
  float* y;
  int64_t ldy;
};

struct KernelTable {
  const char* name;
  int tileRows;                         // largest MR
  int panelWidth;                       // NR
  PanelKernel panel[kMaxTileRows + 1];  // by MR
  // out[k * stride + r] = x[r * ldx + k]; lanes between rows and the next whole vector are overwritten
  void (*packRows)(const float* x, int64_t ldx, int64_t rows, int64_t k, float* out, int64_t stride);
  void (*epilogue)(const EpilogueArgs&, Activation);
  void (*activate)(float* y, int64_t n, Activation);
  void (*layerNormRow)(const float* x, float* y, int64_t width, const float* gamma, const float* beta, float eps);
  void (*softmaxRow)(float* s, int64_t n, float scale);  // s = softmax(scale * s)
  // One (token, head); scores holds lengthOfToken[token] floats.
  void (*cachedAttention)(const CachedAttentionArgs&, int64_t token, int64_t head, float* scores);
  RowSummary (*summarizeRow)(const float* logits, int64_t vocab);
};

extern const KernelTable kKernelsScalar;
#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable kKernelsAvx2;
extern const KernelTable kKernelsAvx512;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable kKernelsNeon;
#endif

}  // namespace ved::ops::cpu
