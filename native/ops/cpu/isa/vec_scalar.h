// Four floats without intrinsics: runs anywhere, and compilers turn the loops into what the base ISA has.
// Contract shared by all vec_*.h: max(a, b) and min(a, b) return b when either is NaN.
#pragma once
#include <math.h>
#include <stdint.h>

#include "ops/cpu/isa/bits.h"

namespace ved::ops::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 4;
  static constexpr int kPanelVectors = 2;
  static constexpr int kTileRows = 4;
  float v[4];

  template <class F>
  static Vec each(F f) {
    Vec r;
    for (int i = 0; i < kWidth; ++i) r.v[i] = f(i);
    return r;
  }
  // n consecutive bfloat16, widened
  static Vec loadBf16(const uint16_t* p, int64_t n) {
    return each([=](int i) { return i < n ? floatOf(static_cast<uint32_t>(p[i]) << 16) : 0.0f; });
  }
  // bfloat16 pairs in 4-byte units: the lower and the upper half of every unit, widened
  static Vec lowHalves(const uint32_t* p) {
    return each([=](int i) { return floatOf(p[i] << 16); });
  }
  static Vec highHalves(const uint32_t* p) {
    return each([=](int i) { return floatOf(p[i] & 0xffff0000u); });
  }
  static Vec zero() { return set1(0.0f); }
  static Vec set1(float x) {
    return each([=](int) { return x; });
  }
  static Vec load(const float* p) {
    return each([=](int i) { return p[i]; });
  }
  static Vec loadN(const float* p, int64_t n) {
    return each([=](int i) { return i < n ? p[i] : 0.0f; });
  }
  void store(float* p) const {
    for (int i = 0; i < kWidth; ++i) p[i] = v[i];
  }
  void storeN(float* p, int64_t n) const {
    for (int i = 0; i < kWidth; ++i)
      if (i < n) p[i] = v[i];
  }
  static Vec add(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
  }
  static Vec sub(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
  }
  static Vec mul(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
  }
  static Vec div(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] / b.v[i]; });
  }
  static Vec fma(Vec a, Vec b, Vec c) {
    return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static Vec fnma(Vec a, Vec b, Vec c) {
    return each([&](int i) { return c.v[i] - a.v[i] * b.v[i]; });
  }
  static Vec max(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static Vec min(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static Vec abs(Vec a) {
    return each([&](int i) { return fabsf(a.v[i]); });
  }
  static Vec round(Vec a) {
    return each([&](int i) { return nearbyintf(a.v[i]); });
  }
  // a * 2^n for integral n
  static Vec scale(Vec a, Vec n) {
    return each([&](int i) { return n.v[i] == n.v[i] ? ldexpf(a.v[i], static_cast<int>(n.v[i])) : n.v[i]; });
  }
  static Vec selectLess(Vec a, Vec b, Vec yes, Vec no) {
    return each([&](int i) { return a.v[i] < b.v[i] ? yes.v[i] : no.v[i]; });
  }
  static bool anyEqual(Vec a, Vec b) {
    bool any = false;
    for (int i = 0; i < kWidth; ++i) any |= a.v[i] == b.v[i];
    return any;
  }
  static float reduceAdd(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
  static void reduceAdd4(const Vec (&r)[4], float* sums) {
    for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(r[i]);
  }
  static float reduceMax(Vec a) {
    float m = a.v[0];
    for (int i = 1; i < kWidth; ++i) m = a.v[i] > m ? a.v[i] : m;
    return m;
  }
  static void transpose(Vec r[kWidth]) {
    for (int i = 0; i < kWidth; ++i)
      for (int j = i + 1; j < kWidth; ++j) {
        const float t = r[i].v[j];
        r[i].v[j] = r[j].v[i];
        r[j].v[i] = t;
      }
  }
  static void prefetch(const float*) {}
  static void prefetchFar(const float*) {}
};

// 4 int32. Units of four int8 are read as the int16 pairs of their even and odd bytes.
struct Ints {
  int32_t v[Vec::kWidth];

  template <class F>
  static Ints each(F f) {
    Ints r;
    for (int i = 0; i < Vec::kWidth; ++i) r.v[i] = f(i);
    return r;
  }
  static Ints zero() { return set1(0); }
  static Ints set1(uint32_t x) {
    return each([=](int) { return static_cast<int32_t>(x); });
  }
  static Ints load(const int32_t* p) {
    return each([=](int i) { return p[i]; });
  }
  void store(int32_t* p) const {
    for (int i = 0; i < Vec::kWidth; ++i) p[i] = v[i];
  }
  void settle() {}
  // As vector instructions do: wraps.
  static Ints sub(Ints a, Ints b) {
    return each(
        [&](int i) { return static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) - static_cast<uint32_t>(b.v[i])); });
  }
  Vec toFloat() const {
    return Vec::each([&](int i) { return static_cast<float>(v[i]); });
  }
  static int32_t pair(uint32_t low, uint32_t high) {
    const auto wide = [](uint32_t byte) { return static_cast<uint16_t>(static_cast<int8_t>(byte & 0xffu)); };
    return static_cast<int32_t>(wide(low) | static_cast<uint32_t>(wide(high)) << 16);
  }
  static Ints evenBytes(const uint32_t* p) {
    return each([=](int i) { return pair(p[i], p[i] >> 16); });
  }
  static Ints oddBytes(const uint32_t* p) {
    return each([=](int i) { return pair(p[i] >> 8, p[i] >> 24); });
  }
  static int32_t half(int32_t x, int which) { return static_cast<int16_t>(static_cast<uint32_t>(x) >> (16 * which)); }
  static Ints dotPairs(Ints a, Ints b, Ints sum) {
    return each(
        [&](int i) { return sum.v[i] + half(a.v[i], 0) * half(b.v[i], 0) + half(a.v[i], 1) * half(b.v[i], 1); });
  }
};

}  // namespace
}  // namespace ved::ops::cpu
