// What one instruction set offers: pointers to its kernels. Drivers (threads, tiling, scratch) are written once on top.
#pragma once
#include <cstdint>

#include "ops/backend.h"

namespace ved::ops::cpu {

inline constexpr int kMaxRegisterRows = 14;  // of tiles in vector registers
inline constexpr int kMaxTileRows = 32;      // of any
inline constexpr int kMaxPanelWidth = 32;
// Packed buffers need this many floats behind their end: packRows stores whole vectors.
inline constexpr int64_t kPackSlack = 16;

// The product of a packed tile of rows and a panel of weights, for every element type:
//   weights  [units][panelWidth]    one unit of 4 bytes holds `unit` consecutive k of one output
//   operand  [units][parts][MR]     elements of 4 bytes, broadcast one by one; of matrix units see amx.inc.h
//   c        [MR][ldc]              float32 sums, or int32 sums for int8
// Summed in the same order of k for every MR: the result of a row depends neither on MR nor on its neighbours.
// `prefetch` is what comes next (lines of 64 bytes).
using PanelKernel = void (*)(const void* operand, const void* weights, int64_t units, void* c, int64_t ldc,
                             const void* prefetch, int64_t prefetchLines);

struct GemmKernels {
  int unit;                             // k per unit of weights
  int parts;                            // elements of the operand per unit
  int tileRows;                         // largest MR
  int32_t zeroPoint;                    // int8: what the operand's integers are shifted by
  PanelKernel panel[kMaxTileRows + 1];  // by MR
  PanelKernel half[kMaxTileRows + 1];   // by MR: the first half of the panel's lanes alone
  // rows of x -> operand; rowScale[r] = sx of the row (int8 only). Padding k count as zero.
  void (*packOperand)(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out, float* rowScale);
  // Matrix units pad the operand to whole steps of `unitStep`, and want tiles that begin at multiples of `rowStep`:
  // less than 16 rows save no time, and another number of rows is another configuration.
  int rowStep = 1, unitStep = 1;
  // State of the calling thread: must be set for MR before panels of MR rows, and dropped afterwards. nullptr: none.
  void (*configure)(int64_t rows) = nullptr;
  void (*release)() = nullptr;

  int64_t units(int64_t k) const { return (k + unit - 1) / unit; }
  int64_t elements(int64_t k) const { return (units(k) + unitStep - 1) / unitStep * unitStep * parts; }
};

// Encoder attention with panelWidth queries side by side in the lanes of a panel. Elements as in GemmKernels of the
// same type.
struct AttentionKernels {
  const GemmKernels* gemm;  // nullptr: this type has none
  // queries (rows of x) -> weights [units(k)][panelWidth]; lanes behind the last row are zero
  void (*packLanes)(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out);
  // columns of v -> operand over the keys: element (key, column)
  void (*packValues)(const float* v, int64_t ldv, int64_t keys, int64_t columns, void* out);
  // scores [keys][panelWidth] -> panel of exp(scale * (score - max over keys)); may be in place for float32.
  // inverse[lane] = 1 / sum of the lane's exponentials. scale >= 0.
  void (*softmax)(const float* scores, int64_t keys, int64_t lanes, float scale, void* panel, float* inverse);
};

// y[i, n] = act(tile[i * panelWidth + n] + bias[n]) + residual[i, n] for n < columns <= panelWidth; in int8
// (tile - offset[n]) * rowScale[i] * columnScale[n] takes the place of tile, and where there are rests, its sum with
// the same of row `rows` + i.
struct EpilogueArgs {
  const float* tile;
  int64_t rows;
  int64_t columns;
  const float* bias;      // padded to the panel width, or nullptr
  const float* residual;  // or nullptr
  int64_t ldr;
  float* y;
  int64_t ldy;
  const float* rowScale = nullptr;     // int8, else nullptr
  const float* columnScale = nullptr;  // padded
  const int32_t* offset = nullptr;     // padded
  bool rests = false;
};

// What weights are packed with. Rows: consecutive k of one output. Columns: consecutive outputs, k in steps of ldx.
struct WeightKernels {
  // out[i] = the bfloat16 of x[2 i] and, in the upper half, of x[2 i + 1]; 0 behind the end
  void (*roundPairs)(const float* x, int64_t k, uint32_t* out);
  // The same unit for every column: out[i * stride + n]
  void (*pairColumns)(const float* x, int64_t ldx, int64_t k, int64_t columns, uint32_t* out, int64_t stride);
  // max |x|; NaN when any is not finite
  float (*magnitude)(const float* x, int64_t k);
  // top[n] = max(top[n], |x[r * ldx + n]|) over the rows; NaN as above
  void (*columnMagnitudes)(const float* x, int64_t ldx, int64_t rows, int64_t columns, float* top);
  // Units of four round(x * inverse), |x * inverse| <= 127, zeros behind the end; returns their sum
  int32_t (*quantizeRow)(const float* x, int64_t k, float inverse, uint32_t* out);
  // The same unit for every column, out[i * stride + n], added to sums[n]. columns <= kMaxPanelWidth
  void (*quantizeColumns)(const float* x, int64_t ldx, int64_t k, int64_t columns, const float* inverse, uint32_t* out,
                          int64_t stride, int32_t* sums);
};

struct KernelTable {
  const char* name;
  int panelWidth;  // NR
  GemmKernels f32, bf16, int8;
  AttentionKernels attentionF32, attentionBf16;
  // out[k * stride + r] = x[r * ldx + k]; lanes between rows and the next whole vector are overwritten
  void (*packRows)(const float* x, int64_t ldx, int64_t rows, int64_t k, float* out, int64_t stride);
  // out = x less what packOperand of int8 makes of it
  void (*restOfRow)(const float* x, int64_t k, float* out);
  // out[l * ldo + d] = sums[d * panelWidth + l] * inverse[l], l < lanes, d < headDim
  void (*storeQueries)(const float* sums, int64_t headDim, int64_t lanes, const float* inverse, float* out,
                       int64_t ldo);
  WeightKernels weights;
  void (*epilogue)(const EpilogueArgs&, Activation);
  void (*activate)(float* y, int64_t n, Activation);
  void (*layerNormRow)(const float* x, float* y, int64_t width, const float* gamma, const float* beta, float eps);
  void (*rmsNormRow)(const float* x, float* y, int64_t width, const float* gamma, float eps);
  void (*softmaxRow)(float* s, int64_t n, float scale);  // s = softmax(scale * s)
  // One (token, head); scores holds lengthOfToken[token] floats.
  void (*cachedAttention)(const CachedAttentionArgs&, int64_t token, int64_t head, float* scores);
  RowSummary (*summarizeRow)(const float* logits, int64_t vocab);

  const GemmKernels& gemm(ComputeType type) const {
    return hasInt8Weights(type) ? int8 : type == ComputeType::BFloat16 ? bf16 : f32;
  }
};

extern const KernelTable kKernelsScalar;
#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable kKernelsAvx2;
extern const KernelTable kKernelsAvx512;
extern const GemmKernels kBf16Avx512;  // with AVX512_BF16
extern const AttentionKernels kAttentionBf16Avx512;
extern const GemmKernels kInt8Avx512;  // with AVX512_VNNI
extern const GemmKernels kInt8AvxVnni;
extern const GemmKernels kInt8Avx512Vnni256;  // with AVX512_VNNI
extern const GemmKernels kBf16Amx;            // with AMX-BF16 and AVX512_BF16, where the build has VED_AMX
extern const GemmKernels kInt8Amx;            // with AMX-INT8, likewise
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable kKernelsNeon;
#if !defined(_MSC_VER)
#define VED_NEON_EXTENSIONS 1
extern const GemmKernels kBf16Neon;  // with FEAT_BF16
extern const AttentionKernels kAttentionBf16Neon;
extern const GemmKernels kInt8Neon;  // with FEAT_DotProd
#endif
#endif

}  // namespace ved::ops::cpu
