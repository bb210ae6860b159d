// bfloat16 by vdpbf16ps: two multiply-adds per lane and instruction. Denormals count as zero.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/vec_avx512.h"
// After the vector type they are written on.
#include "ops/cpu/isa/attention.inc.h"
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
};

// Lane by lane: low in the lower half of the unit, high in the upper.
inline __m512i interleaved(__m512 low, __m512 high) {
  alignas(64) static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

void packLanes(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out) {
  constexpr int64_t kChunk = 64;  // units
  alignas(64) uint32_t encoded[kPanel * kChunk];
  auto* to = static_cast<float*>(out);
  for (int64_t begin = 0; begin < k; begin += 2 * kChunk) {
    const int64_t count = k - begin < 2 * kChunk ? k - begin : 2 * kChunk;
    for (int64_t r = 0; r < rows; ++r) EncodePairs::encode(x + r * ldx + begin, count, 0.0f, encoded + r * kChunk);
    packRows(reinterpret_cast<const float*>(encoded), kChunk, rows, (count + 1) / 2, to + begin / 2 * kPanel, kPanel);
  }
}

void packValues(const float* v, int64_t ldv, int64_t keys, int64_t columns, void* out) {
  auto* to = static_cast<uint32_t*>(out);
  for (int64_t t = 0; t < keys; t += 2, to += columns) {
    const float* even = v + t * ldv;
    const Vec low = Vec::loadN(even, columns), high = t + 1 < keys ? Vec::loadN(even + ldv, columns) : Vec::zero();
    _mm512_mask_storeu_epi32(to, Vec::lanes(columns), interleaved(low.v, high.v));
  }
}

// Relative error 3e-6: a thousandth of what rounding to bfloat16 costs.
constexpr float kExp2Short[] = {9.570105184e-3f, 5.591785910e-2f, 2.402474475e-1f, 6.931218150e-1f, 9.999992615e-01f};

void softmax(const float* scores, int64_t keys, int64_t lanes, float scale, void* panel, float* inverse) {
  auto* out = static_cast<uint32_t*>(panel);
  const Vec factor = Vec::set1(scale * kLog2E);
  for (int64_t lane = 0; lane < lanes; lane += Vec::kWidth) {
    const float* s = scores + lane;
    const Vec top = laneMaximum(s, keys);
    const auto weight = [&](int64_t t) {
      return exp2OfNonPositive(Vec::mul(Vec::sub(Vec::load(s + t * kPanel), top), factor), kExp2Short);
    };
    Vec even = Vec::zero(), odd = Vec::zero();
    int64_t t = 0;
    for (; t + 2 <= keys; t += 2) {
      const Vec a = weight(t), b = weight(t + 1);
      even = Vec::add(even, a);
      odd = Vec::add(odd, b);
      _mm512_storeu_si512(out + t / 2 * kPanel + lane, interleaved(a.v, b.v));
    }
    if (t < keys) {
      const Vec a = weight(t);
      even = Vec::add(even, a);
      _mm512_storeu_si512(out + t / 2 * kPanel + lane, interleaved(a.v, Vec::zero().v));
    }
    Vec::div(Vec::set1(1.0f), Vec::add(even, odd)).store(inverse + lane);
  }
}

}  // namespace

const GemmKernels kBf16Avx512 = makeGemm<DotBf16Pairs>(packOperand<EncodePairs>);
const AttentionKernels kAttentionBf16Avx512 = {&kBf16Avx512, packLanes, packValues, softmax};

}  // namespace ved::ops::cpu
#endif
