// The arithmetic of the tile instructions on whole rows: operation sections of TDPBF16PS and TDPBSSD in Intel's manual.
// Compiled with FMA: C headers only, and nothing that other files share.
#pragma once
#include <stdint.h>

namespace ved::test::tiles {

// sum[n] += over k of a[k] . b[k][n], n < 16. Elements are pairs of bfloat16, or quads of int8.
void rowDotBf16(const uint32_t* a, const uint32_t* b, int depth, float* sum);
void rowDotInt8(const uint32_t* a, const uint32_t* b, int depth, uint32_t* sum);

}  // namespace ved::test::tiles
