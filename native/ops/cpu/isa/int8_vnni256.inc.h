// int8 by the 256-bit vpdpbusd, which AVX-VNNI and AVX512-VNNI encode differently. See int8_avx512vnni.cpp.
#pragma once
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
#if defined(VED_VNNI_EVEX)
  static Sum dot(__m256i x, __m256i w, Sum sum) { return _mm256_dpbusd_epi32(sum, x, w); }
#else
  static Sum dot(__m256i x, __m256i w, Sum sum) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
#endif
  static void store(Sum s, void* c) { _mm256_storeu_si256(static_cast<__m256i*>(c), s); }
};

struct EncodeQuads {
  static constexpr int kUnit = 4, kParts = 1;
  static constexpr bool kQuantized = true;
  static void encode(const float* x, int64_t k, float inverse, uint32_t* out) {
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
    for (int64_t i = 0; i < k; i += 8, out += 2) {
      const Vec v = k - i >= Vec::kWidth ? Vec::load(x + i) : Vec::loadN(x + i, k - i);
      const __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(v.v, factor));
      const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
      const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), flip);
      out[0] = static_cast<uint32_t>(_mm_extract_epi32(bytes, 0));
      if (i + 4 < k) out[1] = static_cast<uint32_t>(_mm_extract_epi32(bytes, 1));
    }
  }
};

}  // namespace
}  // namespace ved::ops::cpu
