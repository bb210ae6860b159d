#if defined(VED_AMX_EMULATOR)
#include "amx/tile_dot.h"

namespace ved::test::tiles {
namespace {

// Denormal numbers are zero, before and after every operation.
inline float flushed(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return __builtin_bit_cast(float, bits & 0x7f800000u ? bits : bits & 0x80000000u);
}

inline float lower(uint32_t pair) { return flushed(__builtin_bit_cast(float, pair << 16)); }
inline float upper(uint32_t pair) { return flushed(__builtin_bit_cast(float, pair & 0xffff0000u)); }

inline uint32_t signedProduct(uint32_t a, uint32_t b, int shift) {
  const int32_t x = static_cast<int8_t>(a >> shift), y = static_cast<int8_t>(b >> shift);
  return static_cast<uint32_t>(x * y);
}

}  // namespace

void rowDotBf16(const uint32_t* a, const uint32_t* b, int depth, float* sum) {
  float even[16] = {}, odd[16] = {};
  for (int k = 0; k < depth; ++k)
    for (int n = 0; n < 16; ++n) {
      even[n] = flushed(__builtin_fmaf(lower(a[k]), lower(b[16 * k + n]), even[n]));
      odd[n] = flushed(__builtin_fmaf(upper(a[k]), upper(b[16 * k + n]), odd[n]));
    }
  for (int n = 0; n < 16; ++n) sum[n] = flushed(flushed(sum[n]) + flushed(even[n] + odd[n]));
}

void rowDotInt8(const uint32_t* a, const uint32_t* b, int depth, uint32_t* sum) {
  for (int k = 0; k < depth; ++k)
    for (int n = 0; n < 16; ++n)
      for (int shift = 0; shift < 32; shift += 8) sum[n] += signedProduct(a[k], b[16 * k + n], shift);
}

}  // namespace ved::test::tiles
#endif
