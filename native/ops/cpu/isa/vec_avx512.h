// 16 floats, AVX-512 F/BW/VL/DQ. See vec_scalar.h for the contract.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <stdint.h>

namespace ved::ops::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 16;
  static constexpr int kPanelVectors = 2;  // 14 x 2 accumulators + 2 of B + 1 broadcast: 31 of 32 registers
  static constexpr int kTileRows = 14;
  __m512 v;

  static __mmask16 lanes(int64_t n) { return n >= 16 ? 0xffff : static_cast<__mmask16>((1u << (n < 0 ? 0 : n)) - 1); }
  // n consecutive bfloat16, widened
  static Vec loadBf16(const uint16_t* p, int64_t n) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes(n), p)), 16))};
  }
  // bfloat16 pairs in 4-byte units: the lower and the upper half of every unit, widened
  static Vec lowHalves(const uint32_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
  }
  static Vec highHalves(const uint32_t* p) {
    return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(0xaaaaaaaa, p))};  // a vector with the mask would be spilled
  }
  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec set1(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec loadN(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(lanes(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void storeN(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, lanes(n), v); }
  static Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  static Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
  static Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
  static Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
  static Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
  static Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, 0)}; }
  static Vec scale(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
  static Vec selectLess(Vec a, Vec b, Vec yes, Vec no) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
  }
  static bool anyEqual(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ) != 0; }
  static float reduceAdd(Vec a) { return _mm512_reduce_add_ps(a.v); }
  // The sums of four vectors, each in the same order.
  static void reduceAdd4(const Vec (&r)[4], float* sums) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(r[0].v, r[1].v), _mm512_unpackhi_ps(r[0].v, r[1].v));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(r[2].v, r[3].v), _mm512_unpackhi_ps(r[2].v, r[3].v));
    const __m512d x = _mm512_castps_pd(ab), y = _mm512_castps_pd(cd);
    const __m512 all =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
  }
  static float reduceMax(Vec a) { return _mm512_reduce_max_ps(a.v); }
  static void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }
  static void prefetchFar(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }

  // In four steps, each doubling the size of the blocks that are in their final place: pairs within 64 bits, quads
  // within 128, then the 128-bit lanes.
  static void transpose(Vec r[16]) {
    __m512d d[16];
    for (int q = 0; q < 4; ++q) {  // rows 4q..4q+3: transpose 4x4 blocks inside every 128-bit lane
      const __m512 a = r[4 * q].v, b = r[4 * q + 1].v, c = r[4 * q + 2].v, e = r[4 * q + 3].v;
      const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
      const __m512d ce0 = _mm512_castps_pd(_mm512_unpacklo_ps(c, e)), ce1 = _mm512_castps_pd(_mm512_unpackhi_ps(c, e));
      d[4 * q] = _mm512_unpacklo_pd(ab0, ce0);
      d[4 * q + 1] = _mm512_unpackhi_pd(ab0, ce0);
      d[4 * q + 2] = _mm512_unpacklo_pd(ab1, ce1);
      d[4 * q + 3] = _mm512_unpackhi_pd(ab1, ce1);
    }
    for (int j = 0; j < 4; ++j) {  // column j of every lane: a 4x4 transpose of whole lanes
      const __m512d x0 = _mm512_shuffle_f64x2(d[j], d[4 + j], 0x88), x1 = _mm512_shuffle_f64x2(d[j], d[4 + j], 0xdd);
      const __m512d y0 = _mm512_shuffle_f64x2(d[8 + j], d[12 + j], 0x88);
      const __m512d y1 = _mm512_shuffle_f64x2(d[8 + j], d[12 + j], 0xdd);
      r[j].v = _mm512_castpd_ps(_mm512_shuffle_f64x2(x0, y0, 0x88));
      r[4 + j].v = _mm512_castpd_ps(_mm512_shuffle_f64x2(x1, y1, 0x88));
      r[8 + j].v = _mm512_castpd_ps(_mm512_shuffle_f64x2(x0, y0, 0xdd));
      r[12 + j].v = _mm512_castpd_ps(_mm512_shuffle_f64x2(x1, y1, 0xdd));
    }
  }
};

// 16 int32. Units of four int8 are read as the int16 pairs of their even and odd bytes.
struct Ints {
  __m512i v;

  static Ints zero() { return {_mm512_setzero_si512()}; }
  static Ints set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int32_t>(x))}; }
  static Ints load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  static Ints sub(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
  Vec toFloat() const { return {_mm512_cvtepi32_ps(v)}; }
  // Nothing, in a register, at this point of the program.
  void settle() {
#if defined(__GNUC__)
    __asm__ volatile("" : "+v"(v));
#endif
  }
  static Ints evenBytes(const uint32_t* p) {
    return {_mm512_srai_epi16(_mm512_slli_epi16(_mm512_loadu_si512(p), 8), 8)};
  }
  static Ints oddBytes(const uint32_t* p) { return {_mm512_srai_epi16(_mm512_loadu_si512(p), 8)}; }
  static Ints dotPairs(Ints a, Ints b, Ints sum) { return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(a.v, b.v))}; }
};

}  // namespace
}  // namespace ved::ops::cpu
