// Element type of weights and of the operands of matrix products. Sums, the residual stream and norms are float32 in
// every type.
#pragma once
#include <bit>
#include <cstdint>

namespace ved {

enum class ComputeType : uint8_t { Float32, BFloat16, Int8 };
inline constexpr int kComputeTypes = 3;

constexpr const char* computeTypeName(ComputeType type) {
  return type == ComputeType::Float32 ? "float32" : type == ComputeType::BFloat16 ? "bfloat16" : "int8";
}

// Round to nearest, ties to even; NaN stays NaN.
constexpr uint16_t bfloat16Bits(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
constexpr float bfloat16ToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

}  // namespace ved
