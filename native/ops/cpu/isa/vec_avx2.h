// 8 floats, AVX2 and FMA. See vec_scalar.h for the contract.
#pragma once
#include <immintrin.h>
#include <stdint.h>

namespace ved::ops::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 8;
  static constexpr int kPanelVectors = 2;  // 6 x 2 accumulators + 2 of B + 1 broadcast: 15 of 16 registers
  static constexpr int kTileRows = 6;
  __m256 v;

  static __m256i lanes(int64_t n) {
    alignas(32) static const int32_t bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    const int64_t k = n >= 8 ? 8 : n < 0 ? 0 : n;
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + 8 - k));
  }
  // n consecutive bfloat16, widened
  static Vec loadBf16(const uint16_t* p, int64_t n) {
    alignas(16) uint16_t lane[8] = {};
    for (int i = 0; n < 8 && i < n; ++i) lane[i] = p[i];
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(n < 8 ? lane : p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
  }
  // bfloat16 pairs in 4-byte units: the lower and the upper half of every unit, widened
  static Vec lowHalves(const uint32_t* p) { return {_mm256_castsi256_ps(_mm256_slli_epi32(whole(p), 16))}; }
  static Vec highHalves(const uint32_t* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_srli_epi32(whole(p), 16), 16))};
  }
  static __m256i whole(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec set1(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec loadN(const float* p, int64_t n) { return {_mm256_maskload_ps(p, lanes(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void storeN(float* p, int64_t n) const { _mm256_maskstore_ps(p, lanes(n), v); }
  static Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  static Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  static Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
  static Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
  static Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
  static Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
  static Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
  // Two factors, each a normal number: 2^n alone would overflow or vanish at the ends of the range.
  static Vec scale(Vec a, Vec n) {
    const __m256i whole = _mm256_cvtps_epi32(n.v), half = _mm256_srai_epi32(whole, 1);
    const __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    const __m256 f = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const __m256 g = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return {_mm256_mul_ps(_mm256_mul_ps(a.v, f), g)};
  }
  static Vec selectLess(Vec a, Vec b, Vec yes, Vec no) {
    return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
  }
  static bool anyEqual(Vec a, Vec b) { return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)) != 0; }
  static float reduceAdd(Vec a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static void reduceAdd4(const Vec (&r)[4], float* sums) {
    for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(r[i]);
  }
  static float reduceMax(Vec a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  static void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }
  static void prefetchFar(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }

  static void transpose(Vec r[8]) {
    __m256 q[8];
    for (int h = 0; h < 2; ++h) {  // 4x4 blocks inside the 128-bit lanes
      const __m256 a = r[4 * h].v, b = r[4 * h + 1].v, c = r[4 * h + 2].v, d = r[4 * h + 3].v;
      const __m256 ab0 = _mm256_unpacklo_ps(a, b), ab1 = _mm256_unpackhi_ps(a, b);
      const __m256 cd0 = _mm256_unpacklo_ps(c, d), cd1 = _mm256_unpackhi_ps(c, d);
      q[4 * h] = _mm256_shuffle_ps(ab0, cd0, 0x44);
      q[4 * h + 1] = _mm256_shuffle_ps(ab0, cd0, 0xee);
      q[4 * h + 2] = _mm256_shuffle_ps(ab1, cd1, 0x44);
      q[4 * h + 3] = _mm256_shuffle_ps(ab1, cd1, 0xee);
    }
    for (int j = 0; j < 4; ++j) {
      r[j].v = _mm256_permute2f128_ps(q[j], q[4 + j], 0x20);
      r[4 + j].v = _mm256_permute2f128_ps(q[j], q[4 + j], 0x31);
    }
  }
};

// 8 int32. Units of four int8 are read as the int16 pairs of their even and odd bytes.
struct Ints {
  __m256i v;

  static Ints zero() { return {_mm256_setzero_si256()}; }
  static Ints set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int32_t>(x))}; }
  static Ints load(const int32_t* p) { return {Vec::whole(p)}; }
  void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static Ints sub(Ints a, Ints b) { return {_mm256_sub_epi32(a.v, b.v)}; }
  Vec toFloat() const { return {_mm256_cvtepi32_ps(v)}; }
  // Nothing, in a register, at this point of the program.
  void settle() {
#if defined(__GNUC__)
    __asm__ volatile("" : "+x"(v));
#endif
  }
  static Ints evenBytes(const uint32_t* p) { return {_mm256_srai_epi16(_mm256_slli_epi16(Vec::whole(p), 8), 8)}; }
  static Ints oddBytes(const uint32_t* p) { return {_mm256_srai_epi16(Vec::whole(p), 8)}; }
  static Ints dotPairs(Ints a, Ints b, Ints sum) { return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(a.v, b.v))}; }
};

}  // namespace
}  // namespace ved::ops::cpu
