// 4 floats, AArch64 Advanced SIMD. See vec_scalar.h for the contract.
#pragma once
#include <arm_neon.h>
#include <stdint.h>

namespace ved::ops::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 4;
  static constexpr int kPanelVectors = 2;  // 8 x 2 accumulators of 32 registers
  static constexpr int kTileRows = 8;
  float32x4_t v;

  // n consecutive bfloat16, widened
  static Vec loadBf16(const uint16_t* p, int64_t n) {
    uint16_t lane[4] = {};
    for (int i = 0; n < 4 && i < n; ++i) lane[i] = p[i];
    return {vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(n < 4 ? lane : p), 16))};
  }
  // bfloat16 pairs in 4-byte units: the lower and the upper half of every unit, widened
  static Vec lowHalves(const uint32_t* p) { return {vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(p), 16))}; }
  static Vec highHalves(const uint32_t* p) {
    return {vreinterpretq_f32_u32(vandq_u32(vld1q_u32(p), vdupq_n_u32(0xffff0000u)))};
  }
  static Vec zero() { return {vdupq_n_f32(0.0f)}; }
  static Vec set1(float x) { return {vdupq_n_f32(x)}; }
  static Vec load(const float* p) { return {vld1q_f32(p)}; }
  static Vec loadN(const float* p, int64_t n) {
    float lanes[4];
    for (int i = 0; i < 4; ++i) lanes[i] = i < n ? p[i] : 0.0f;
    return {vld1q_f32(lanes)};
  }
  void store(float* p) const { vst1q_f32(p, v); }
  void storeN(float* p, int64_t n) const {
    float lanes[4];
    vst1q_f32(lanes, v);
    for (int i = 0; i < 4; ++i)
      if (i < n) p[i] = lanes[i];
  }
  static Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
  static Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
  static Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
  static Vec div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
  static Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
  static Vec fnma(Vec a, Vec b, Vec c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
  // Not vmaxq / vminq: those return NaN when either operand is NaN.
  static Vec max(Vec a, Vec b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
  static Vec min(Vec a, Vec b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
  static Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
  static Vec round(Vec a) { return {vrndnq_f32(a.v)}; }
  // Two factors, each a normal number: 2^n alone would overflow or vanish at the ends of the range.
  static Vec scale(Vec a, Vec n) {
    const int32x4_t whole = vcvtnq_s32_f32(n.v), half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half);
    const int32x4_t bias = vdupq_n_s32(127);
    const float32x4_t f = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const float32x4_t g = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return {vmulq_f32(vmulq_f32(a.v, f), g)};
  }
  static Vec selectLess(Vec a, Vec b, Vec yes, Vec no) { return {vbslq_f32(vcltq_f32(a.v, b.v), yes.v, no.v)}; }
  static bool anyEqual(Vec a, Vec b) { return vmaxvq_u32(vceqq_f32(a.v, b.v)) != 0; }
  static float reduceAdd(Vec a) {
    const float32x2_t s = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
  }
  static void reduceAdd4(const Vec (&r)[4], float* sums) {
    for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(r[i]);
  }
  static float reduceMax(Vec a) { return vmaxvq_f32(a.v); }
#if defined(_MSC_VER)
  static void prefetch(const float* p) { __prefetch(p); }
  static void prefetchFar(const float* p) { __prefetch(p); }
#else
  static void prefetch(const float* p) { __builtin_prefetch(p, 0, 3); }
  static void prefetchFar(const float* p) { __builtin_prefetch(p, 0, 2); }
#endif

  static void transpose(Vec r[4]) {
    const float32x4_t a = vzip1q_f32(r[0].v, r[2].v), b = vzip2q_f32(r[0].v, r[2].v);
    const float32x4_t c = vzip1q_f32(r[1].v, r[3].v), d = vzip2q_f32(r[1].v, r[3].v);
    r[0].v = vzip1q_f32(a, c);
    r[1].v = vzip2q_f32(a, c);
    r[2].v = vzip1q_f32(b, d);
    r[3].v = vzip2q_f32(b, d);
  }
};

// 4 int32. Units of four int8 are read as the int16 pairs of their even and odd bytes.
struct Ints {
  int32x4_t v;

  static Ints zero() { return {vdupq_n_s32(0)}; }
  static Ints set1(uint32_t x) { return {vreinterpretq_s32_u32(vdupq_n_u32(x))}; }
  static Ints load(const int32_t* p) { return {vld1q_s32(p)}; }
  void store(int32_t* p) const { vst1q_s32(p, v); }
  static Ints sub(Ints a, Ints b) { return {vsubq_s32(a.v, b.v)}; }
  Vec toFloat() const { return {vcvtq_f32_s32(v)}; }
  // Nothing, in a register, at this point of the program.
  void settle() {
#if defined(__GNUC__)
    __asm__ volatile("" : "+w"(v));
#endif
  }
  static int16x8_t whole(const uint32_t* p) { return vreinterpretq_s16_u32(vld1q_u32(p)); }
  static Ints evenBytes(const uint32_t* p) { return {vreinterpretq_s32_s16(vshrq_n_s16(vshlq_n_s16(whole(p), 8), 8))}; }
  static Ints oddBytes(const uint32_t* p) { return {vreinterpretq_s32_s16(vshrq_n_s16(whole(p), 8))}; }
  static Ints dotPairs(Ints a, Ints b, Ints sum) {
    const int16x8_t x = vreinterpretq_s16_s32(a.v), y = vreinterpretq_s16_s32(b.v);
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return {vaddq_s32(sum.v, vpaddq_s32(low, high))};
  }
};

}  // namespace
}  // namespace ved::ops::cpu
