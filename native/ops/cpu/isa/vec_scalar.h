// Four floats without intrinsics: runs anywhere, and compilers turn the loops into what the base ISA has.
// Contract shared by all vec_*.h: max(a, b) and min(a, b) return b when either is NaN.
#pragma once
#include <math.h>
#include <stdint.h>

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

}  // namespace
}  // namespace ved::ops::cpu
