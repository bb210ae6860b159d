// Element type of weights and of the operands of matrix products. Sums, the residual stream and norms are float32 in
// every type. Int8Fine: weights as in Int8, operands in two integers instead of one; a matrix may have it, not a model.
#pragma once
#include <bit>
#include <cstdint>

namespace ved {

enum class ComputeType : uint8_t { Float32, BFloat16, Int8, Float16, Int8Fine };

constexpr const char* computeTypeName(ComputeType type) {
  return type == ComputeType::Float32    ? "float32"
         : type == ComputeType::BFloat16 ? "bfloat16"
         : type == ComputeType::Int8     ? "int8"
         : type == ComputeType::Int8Fine ? "int8-fine"
                                         : "float16";
}
constexpr bool hasInt8Weights(ComputeType type) { return type == ComputeType::Int8 || type == ComputeType::Int8Fine; }

// How a matrix of activations, or a cache, lies in memory.
enum class Element : uint8_t { Float32, BFloat16, Float16 };

constexpr int64_t elementBytes(Element element) { return element == Element::Float32 ? 4 : 2; }
// The element of a linear map's rounded operands. In int8 they have a scale per row: no element says that.
constexpr Element operandElement(ComputeType type) {
  return type == ComputeType::BFloat16  ? Element::BFloat16
         : type == ComputeType::Float16 ? Element::Float16
                                        : Element::Float32;
}
// Elements from one row to the next: 16-bit rows begin on 16 bytes. What lies behind the last column may be anything.
constexpr int64_t storedWidth(int64_t width, Element element) {
  return element == Element::Float32 ? width : (width + 7) / 8 * 8;
}

// Round to nearest, ties to even; NaN stays NaN.
constexpr uint16_t bfloat16Bits(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
// To nearest, ties to even, but never to infinity: what is beyond +-65504 becomes that, because an infinite factor
// makes NaN of every product with zero. NaN stays NaN.
constexpr uint16_t float16Bits(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477fe000u) return static_cast<uint16_t>(sign | 0x7bffu);
  if (magnitude < 0x38800000u) {  // below the smallest normal number, 2^-14: multiples of 2^-24
    const float scaled = std::bit_cast<float>(magnitude) * 16777216.0f;
    const auto whole = static_cast<uint32_t>(scaled);
    const float rest = scaled - static_cast<float>(whole);
    return static_cast<uint16_t>(sign | (whole + (rest > 0.5f || (rest == 0.5f && (whole & 1u)) ? 1u : 0u)));
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}
constexpr float float16ToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, part = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | part << 13);
  if (exponent) return std::bit_cast<float>(sign | (exponent + 112) << 23 | part << 13);
  const float value = static_cast<float>(part) / 16777216.0f;
  return sign ? -value : value;
}
constexpr float bfloat16ToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

}  // namespace ved
