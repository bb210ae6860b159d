// int8 by tdpbssd: 16384 multiply-adds per instruction, both factors signed.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__)
#include "ops/cpu/isa/vec_avx512.h"
#define VED_TILE_DOT(sum, operand, weights) _tile_dpbssd(sum, operand, weights)
// After the vector type they are written on.
#include "ops/cpu/isa/amx.inc.h"

namespace ved::ops::cpu {
namespace {

struct EncodeQuads {
  static constexpr int kUnit = 4;
  static constexpr bool kQuantized = true;
  static void line(const float* x, int64_t k, float inverse, uint32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    for (int i = 0; i < 4; ++i) {
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(Vec::loadN(x + 16 * i, k - 16 * i).v, factor));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4 * i), _mm512_cvtsepi32_epi8(q));
    }
  }
};

}  // namespace

const GemmKernels kInt8Amx = makeTileGemm<EncodeQuads>();

}  // namespace ved::ops::cpu
#endif
