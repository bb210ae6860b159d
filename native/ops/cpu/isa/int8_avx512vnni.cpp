// int8 by vpdpbusd: four multiply-adds per lane and instruction. The operand is shifted by 128 to be unsigned; the
// epilogue takes 128 times the sum of each column's weights off again.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/vec_avx512.h"
// After the vector type they are written on.
#include "ops/cpu/isa/panels.inc.h"

namespace ved::ops::cpu {
namespace {

struct DotInt8Quads {
  using Sum = __m512i;
  static constexpr int kUnit = 4, kParts = 1, kWidth = 16, kPanelVectors = 2, kTileRows = 14;
  static constexpr int32_t kZeroPoint = 128;
  static constexpr bool kSettled = false;
  static Sum zero() { return _mm512_setzero_si512(); }
  static __m512i weights(const uint32_t* p, int) { return _mm512_loadu_si512(p); }
  static __m512i operand(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int32_t>(*p)); }
  static Sum dot(__m512i x, __m512i w, Sum sum) { return _mm512_dpbusd_epi32(sum, x, w); }
  static void store(Sum s, void* c) { _mm512_storeu_si512(c, s); }
};

struct EncodeQuads {
  static constexpr int kUnit = 4, kParts = 1;
  static constexpr bool kQuantized = true;
  static void encode(const float* x, int64_t k, float inverse, uint32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
    auto* to = reinterpret_cast<char*>(out);
    for (int64_t i = 0; i < k; i += 16) {
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(Vec::loadN(x + i, k - i).v, factor));
      const __m128i shifted = _mm_xor_si128(_mm512_cvtsepi32_epi8(q), flip);
      const int64_t bytes = (k - i + 3) / 4 * 4;
      if (bytes >= 16)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), shifted);
      else
        _mm_mask_storeu_epi8(to + i, static_cast<__mmask16>((1u << bytes) - 1), shifted);
    }
  }
};

}  // namespace

const GemmKernels kInt8Avx512 = makeGemm<DotInt8Quads>(packOperand<EncodeQuads>);

}  // namespace ved::ops::cpu
#endif
