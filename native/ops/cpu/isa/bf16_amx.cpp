// bfloat16 by tdpbf16ps: 8192 multiply-adds per instruction. Denormals count as zero.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__)
#include "ops/cpu/isa/vec_avx512.h"
#define VED_TILE_DOT(sum, operand, weights) _tile_dpbf16ps(sum, operand, weights)
// After the vector type they are written on.
#include "ops/cpu/isa/amx.inc.h"

namespace ved::ops::cpu {
namespace {

struct EncodePairs {
  static constexpr int kUnit = 2;
  static constexpr bool kQuantized = false;
  static void line(const float* x, int64_t k, float, uint32_t* out) {
    const __m512bh pairs = _mm512_cvtne2ps_pbh(Vec::loadN(x + 16, k - 16).v, Vec::loadN(x, k).v);
    _mm512_storeu_si512(out, reinterpret_cast<__m512i>(pairs));
  }
};

}  // namespace

const GemmKernels kBf16Amx = makeTileGemm<EncodePairs>();

}  // namespace ved::ops::cpu
#endif
