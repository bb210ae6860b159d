// What the op cases share: the backends to check, guarded buffers, and the rounding unit tolerances are derived from.
#pragma once
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness.h"
#include "ops/backend.h"
#include "ops/cuda/loader.h"

namespace ved::test {

constexpr double kEps = 5.9604644775390625e-8;  // 2^-24, unit roundoff of float32

inline std::vector<ops::CpuIsa> availableIsas() {
  std::vector<ops::CpuIsa> isas;
  for (const ops::CpuIsa isa : {ops::CpuIsa::Scalar, ops::CpuIsa::Avx2, ops::CpuIsa::Avx512, ops::CpuIsa::Neon})
    if (ops::cpuIsaAvailable(isa)) isas.push_back(isa);
  return isas;
}

constexpr double kBf16Eps = 1.0 / 512;  // 2^-9, about the mean size of a rounding error of bfloat16
constexpr double kF16Eps = 1.0 / 4096;  // 2^-12, the same of float16
inline uint16_t bits16(float value, Element element) {
  return element == Element::BFloat16 ? bfloat16Bits(value) : float16Bits(value);
}
inline float from16(uint16_t bits, Element element) {
  return element == Element::BFloat16 ? bfloat16ToFloat(bits) : float16ToFloat(bits);
}
constexpr ComputeType kTypes[] = {ComputeType::Float32, ComputeType::BFloat16, ComputeType::Int8,
                                  ComputeType::Int8Fine};

inline std::string label(ops::CpuIsa isa) { return ops::cpuIsaName(isa); }

// What an op case runs on. Every target is held to the same tolerances.
struct Target {
  std::string name;
  std::function<std::unique_ptr<ops::Backend>(int threads)> make;
  std::vector<ComputeType> types;  // that its linear maps and encoder attention know
  bool sameBitsInAllTypes = true;  // a row's result never depends on the rows beside it; else in float32 only
  bool roundsOnce = true;          // 16-bit results of linear maps are the float32 results rounded
  bool keepsNan = true;            // ReLU of NaN is NaN
  bool knows(ComputeType type) const { return std::find(types.begin(), types.end(), type) != types.end(); }
  std::vector<Element> caches() const {
    std::vector<Element> all = {Element::Float32, Element::BFloat16};
    if (knows(ComputeType::Float16)) all.push_back(Element::Float16);
    return all;
  }
};
const std::vector<Target>& targets();
const Target* amxTarget();  // the kernels of AMX over tiles in software; nullptr where they cannot run

inline std::vector<std::pair<Target, ComputeType>> targetsAndTypes() {
  std::vector<std::pair<Target, ComputeType>> all;
  for (const Target& target : targets())
    for (const ComputeType type : target.types) all.emplace_back(target, type);
  return all;
}

const cuda::Library& emulatedCuda();  // the CUDA kernels compiled for the host
const cuda::Library& deviceCuda();    // api is nullptr, with a reason, where no device can be used

// n floats that begin one float behind a 64-byte boundary, between guards whose bytes must stay as they are.
class Guarded {
 public:
  explicit Guarded(size_t n) : n_(n), store_(n + 2 * kGuard + 16) {
    const uintptr_t base = reinterpret_cast<uintptr_t>(store_.data() + kGuard);
    data_ = store_.data() + kGuard + (64 - base % 64) % 64 / sizeof(float) + 1;
    std::memset(store_.data(), kFill, store_.size() * sizeof(float));
  }
  Guarded(size_t n, Random& random, float scale = 1.0f) : Guarded(n) { random.fill(data_, n, scale); }
  Guarded(Guarded&&) = delete;

  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return n_; }
  float& operator[](size_t i) { return data_[i]; }
  float operator[](size_t i) const { return data_[i]; }

  bool intact() const {
    const auto* begin = reinterpret_cast<const unsigned char*>(store_.data());
    const auto* end = begin + store_.size() * sizeof(float);
    const auto* first = reinterpret_cast<const unsigned char*>(data_);
    for (const auto* p = begin; p < end; ++p)
      if ((p < first || p >= first + n_ * sizeof(float)) && *p != kFill) return false;
    return true;
  }
  // True where nothing was written: columns [width, ld) of a matrix with a row stride.
  bool untouched(size_t i) const {
    unsigned char bytes[sizeof(float)];
    std::memcpy(bytes, data_ + i, sizeof(float));
    for (unsigned char b : bytes)
      if (b != kFill) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 32;
  static constexpr unsigned char kFill = 0xA5;
  size_t n_;
  std::vector<float> store_;
  float* data_;
};

inline bool sameBits(const float* a, const float* b, size_t n) { return std::memcmp(a, b, n * sizeof(float)) == 0; }

}  // namespace ved::test
