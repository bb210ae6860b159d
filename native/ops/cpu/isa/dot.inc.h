// How the element types enter a register tile where the instruction set has no dot product of its own: bfloat16 is
// widened to float32, int8 to pairs of int16. Included once per ISA.
#pragma once
#include "ops/cpu/isa/bits.h"
#include "ops/cpu/isa/math.inc.h"
#include "ops/cpu/kernel_table.h"

namespace ved::ops::cpu {
namespace {

struct DotFloat32 {
  using Sum = Vec;
  static constexpr int kUnit = 1, kParts = 1, kWidth = Vec::kWidth, kPanelVectors = Vec::kPanelVectors;
  static constexpr int kTileRows = Vec::kTileRows;
  static constexpr int32_t kZeroPoint = 0;
  static constexpr bool kSettled = false;
  static Sum zero() { return Vec::zero(); }
  static Vec weights(const uint32_t* p, int) { return Vec::load(reinterpret_cast<const float*>(p)); }
  static Vec operand(const uint32_t* p) { return Vec::set1(*reinterpret_cast<const float*>(p)); }
  static Sum dot(Vec x, Vec w, Sum sum) { return Vec::fma(x, w, sum); }
  static void store(Sum s, void* c) { s.store(static_cast<float*>(c)); }
};

// The operand is rounded to bfloat16 but kept as float32: element k of a row as in float32.
struct DotBf16 : DotFloat32 {
  static constexpr int kUnit = 2, kParts = 2;
  static Vec weights(const uint32_t* p, int part) { return part == 0 ? Vec::lowHalves(p) : Vec::highHalves(p); }
};

// The operand is int16: part 0 holds the k of even place in the unit, part 1 the odd ones.
struct DotInt8 : DotFloat32 {
  using Sum = Ints;
  static constexpr int kUnit = 4, kParts = 2;
  static constexpr bool kSettled = true;  // sums of one part are complete before the next: else products are spilled
  static Sum zero() { return Ints::zero(); }
  static Ints weights(const uint32_t* p, int part) { return part == 0 ? Ints::evenBytes(p) : Ints::oddBytes(p); }
  static Ints operand(const uint32_t* p) { return Ints::set1(*p); }
  static Sum dot(Ints x, Ints w, Sum sum) { return Ints::dotPairs(x, w, sum); }
  static void store(Sum s, void* c) { s.store(static_cast<int32_t*>(c)); }
};

struct EncodeBf16 {
  static constexpr int kUnit = 2, kParts = 2;
  static constexpr bool kQuantized = false;
  static void encode(const float* x, int64_t k, float, uint32_t* out) {
    for (int64_t i = 0; i < k; ++i) out[i] = roundedBf16(x[i]);
    if (k & 1) out[k] = 0;
  }
};

// max |x| of a row, NaN when any element is not finite.
inline float largestFinite(const float* x, int64_t k) {
  Vec top = Vec::zero(), probe = Vec::zero();
  int64_t i = 0;
  for (; i < k; i += Vec::kWidth) {
    const Vec v = k - i >= Vec::kWidth ? Vec::load(x + i) : Vec::loadN(x + i, k - i);
    top = Vec::max(Vec::abs(v), top);
    probe = Vec::fma(v, Vec::zero(), probe);  // NaN for NaN and infinity
  }
  return Vec::reduceMax(top) + Vec::reduceAdd(probe);
}

// To nearest, ties to even, for |x| <= 127: the sum's last bit is worth 1.
inline uint32_t nearestInteger(float x) { return bitsOf(x + 12582912.0f) - bitsOf(12582912.0f); }

struct EncodeInt8 {
  static constexpr int kUnit = 4, kParts = 2;
  static constexpr bool kQuantized = true;
  static void encode(const float* x, int64_t k, float inverse, uint32_t* out) {
    // Rounding and joining in loops of their own: together they are not vectorised.
    constexpr int64_t kBlock = 64;
    uint32_t q[kBlock];
    for (int64_t begin = 0; begin < k; begin += kBlock) {
      const int64_t count = k - begin < kBlock ? k - begin : kBlock;
      for (int64_t i = 0; i < count; ++i) q[i] = nearestInteger(x[begin + i] * inverse);
      for (int64_t i = count; i % 4; ++i) q[i] = 0;
      for (int64_t u = 0; u < (count + 3) / 4; ++u, out += 2) {
        out[0] = (q[4 * u] & 0xffffu) | q[4 * u + 2] << 16;
        out[1] = (q[4 * u + 1] & 0xffffu) | q[4 * u + 3] << 16;
      }
    }
  }
};

}  // namespace
}  // namespace ved::ops::cpu
