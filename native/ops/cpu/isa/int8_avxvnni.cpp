// int8 by the 256-bit vpdpbusd of AVX-VNNI, on processors without AVX-512. See int8_avx512vnni.cpp.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/vec_avx2.h"
// After the vector type they are written on.
#include "ops/cpu/isa/panels.inc.h"

namespace ved::ops::cpu {
namespace {

struct DotInt8Quads {
  using Sum = __m256i;
  static constexpr int kUnit = 4, kParts = 1, kWidth = 8, kPanelVectors = 2, kTileRows = 6;
  static constexpr int32_t kZeroPoint = 128;
  static constexpr bool kSettled = false;
  static Sum zero() { return _mm256_setzero_si256(); }
  static __m256i weights(const uint32_t* p, int) { return Vec::whole(p); }
  static __m256i operand(const uint32_t* p) { return _mm256_set1_epi32(static_cast<int32_t>(*p)); }
  static Sum dot(__m256i x, __m256i w, Sum sum) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
  static void store(Sum s, void* c) { _mm256_storeu_si256(static_cast<__m256i*>(c), s); }
};

struct EncodeQuads {
  static constexpr int kUnit = 4, kParts = 1;
  static constexpr bool kQuantized = true;
  static void encode(const float* x, int64_t k, float inverse, uint32_t* out) {
    for (int64_t u = 0; u < k; u += 4) {
      uint32_t unit = 0;
      for (int i = 0; i < 4; ++i) {
        const int32_t q = u + i < k ? quantized(x[u + i], inverse) : 0;
        unit |= (static_cast<uint32_t>(q + 128) & 0xffu) << (8 * i);
      }
      *out++ = unit;
    }
  }
};

}  // namespace

const GemmKernels kInt8AvxVnni = makeGemm<DotInt8Quads>(packOperand<EncodeQuads>);

}  // namespace ved::ops::cpu
#endif
