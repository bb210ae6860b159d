// Sizes of things that are cut into blocks.
#pragma once
#include <cstdint>

namespace ved::ops::cpu {

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t padded(int64_t n, int64_t unit) { return ceilDiv(n, unit) * unit; }

}  // namespace ved::ops::cpu
