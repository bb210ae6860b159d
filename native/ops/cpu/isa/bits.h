// bfloat16 by integer arithmetic, once per ISA (see math.inc.h): round to nearest, ties to even; NaN stays NaN.
#pragma once
#include <stdint.h>

namespace ved::ops::cpu {
namespace {

inline uint32_t bitsOf(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float floatOf(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// In the upper half, so that it is a float32 as well.
inline uint32_t roundedBf16(float x) {
  const uint32_t u = bitsOf(x);
  const uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);
  return ((u & 0x7fffffffu) > 0x7f800000u ? u | 0x400000u : rounded) & 0xffff0000u;
}

}  // namespace
}  // namespace ved::ops::cpu
