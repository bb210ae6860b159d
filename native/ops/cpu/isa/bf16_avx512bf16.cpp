// bfloat16 by vdpbf16ps: two multiply-adds per lane and instruction. Denormals count as zero.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/vec_avx512.h"
// After the vector type they are written on.
#include "ops/cpu/isa/attention_bf16.inc.h"
#include "ops/cpu/isa/panels.inc.h"

namespace ved::ops::cpu {
namespace {

struct DotBf16Pairs {
  using Sum = __m512;
  static constexpr int kUnit = 2, kParts = 1, kWidth = 16, kPanelVectors = 2, kTileRows = 14;
  static constexpr int32_t kZeroPoint = 0;
  static constexpr bool kSettled = false;
  static Sum zero() { return _mm512_setzero_ps(); }
  static __m512i weights(const uint32_t* p, int) { return _mm512_loadu_si512(p); }
  static __m512i operand(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int32_t>(*p)); }
  static Sum dot(__m512i x, __m512i w, Sum sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(w));
  }
  static void store(Sum s, void* c) { _mm512_storeu_ps(static_cast<float*>(c), s); }
};

// 16 units out of 32 consecutive values.
inline __m512i pairsOf(const float* x, int64_t k) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(Vec::loadN(x + 16, k - 16).v, Vec::loadN(x, k).v));
}

struct EncodePairs {
  static constexpr int kUnit = 2, kParts = 1;
  static constexpr bool kQuantized = false;
  static void encode(const float* x, int64_t k, float, uint32_t* out) {
    int64_t i = 0;
    for (; i + 32 <= k; i += 32)
      _mm512_storeu_si512(out + i / 2, reinterpret_cast<__m512i>(
                                           _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i))));
    if (i < k) _mm512_mask_storeu_epi32(out + i / 2, Vec::lanes((k - i + 1) / 2), pairsOf(x + i, k - i));
  }
  static void join(Vec low, Vec high, uint32_t* out, int64_t n) {
    alignas(64) static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i pairs = _mm512_permutexvar_epi16(_mm512_load_si512(order),
                                                   reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v)));
    if (n >= Vec::kWidth)
      _mm512_storeu_si512(out, pairs);
    else
      _mm512_mask_storeu_epi32(out, Vec::lanes(n), pairs);
  }
};

}  // namespace

const GemmKernels kBf16Avx512 = makeGemm<DotBf16Pairs>(packOperand<EncodePairs>);
const AttentionKernels kAttentionBf16Avx512 = makeAttentionBf16<EncodePairs>(kBf16Avx512);

}  // namespace ved::ops::cpu
#endif
