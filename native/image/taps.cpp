#include "taps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "image.h"

namespace ved::image {
namespace {

void checkTapCount(int outSize, double perPixel) {
  const double bytes = static_cast<double>(outSize) * perPixel * sizeof(std::int32_t);
  if (bytes <= static_cast<double>(kMaxBytes)) return;
  throw std::invalid_argument("resize weights: expected at most " + std::to_string(kMaxBytes) + " bytes, got " +
                              std::to_string(outSize) + " pixels of " + std::to_string(perPixel) + " taps");
}

std::int32_t toFixed(double weight, int bits) {
  const double scaled = weight * (1 << bits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/// Fills `scratch` with the normalised weights of the taps [first, first + count).
void weigh(std::vector<double>& scratch, int first, int count, double center, double inverse, Kernel kernel) {
  double sum = 0.0;
  for (int i = 0; i < count; ++i) {
    const double weight = kernel.weight((i + first - center + 0.5) * inverse);
    scratch[static_cast<std::size_t>(i)] = weight;
    sum += weight;
  }
  if (sum == 0.0) return;
  for (int i = 0; i < count; ++i) scratch[static_cast<std::size_t>(i)] /= sum;
}

/// Calls visit(o, first, count, weights) for every output pixel; `taps` gets its stride, first and count.
template <class Visit>
void forEachOutput(Taps& taps, int inSize, float begin, float end, int outSize, Kernel kernel, Visit visit) {
  const double scale = static_cast<double>(end - begin) / outSize;
  const double stretch = std::max(scale, 1.0);
  const double reach = kernel.support * stretch;
  const double perPixel = std::ceil(reach) * 2 + 1;
  checkTapCount(outSize, perPixel);
  taps.stride = static_cast<int>(perPixel);
  const auto outputs = static_cast<std::size_t>(outSize);
  taps.first.resize(outputs);
  taps.count.resize(outputs);
  std::vector<double> scratch(static_cast<std::size_t>(taps.stride));
  for (std::size_t o = 0; o < outputs; ++o) {
    const double center = begin + (static_cast<double>(o) + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - reach + 0.5), 0);
    const int count = std::min(static_cast<int>(center + reach + 0.5), inSize) - first;
    weigh(scratch, first, count, center, 1.0 / stretch, kernel);
    taps.first[o] = first;
    taps.count[o] = count;
    visit(o, scratch);
  }
}

/// Rounds the weights of every output pixel to `bits` fractional bits.
Taps fixedTaps(int bits, int inSize, float begin, float end, int outSize, Kernel kernel) {
  Taps taps;
  taps.bits = bits;
  forEachOutput(taps, inSize, begin, end, outSize, kernel, [&](std::size_t o, const std::vector<double>& weights) {
    const auto stride = static_cast<std::size_t>(taps.stride);
    if (taps.weight.empty()) taps.weight.resize(static_cast<std::size_t>(outSize) * stride);
    for (int i = 0; i < taps.count[o]; ++i) {
      const auto at = static_cast<std::size_t>(i);
      taps.weight[o * stride + at] = toFixed(weights[at], bits);
    }
  });
  return taps;
}

int shortBits(double largest) {
  int bits = 0;
  while (bits < kWeightBits && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) ++bits;
  return std::max(bits, 1);
}

}  // namespace

Taps makeTaps(int inSize, float begin, float end, int outSize, Kernel kernel) {
  return fixedTaps(kWeightBits, inSize, begin, end, outSize, kernel);
}

Taps makeShortTaps(int inSize, int outSize, Kernel kernel) {
  const auto end = static_cast<float>(inSize);
  Taps taps;
  double largest = 0.0;
  forEachOutput(taps, inSize, 0.0F, end, outSize, kernel, [&](std::size_t o, const std::vector<double>& weights) {
    for (int i = 0; i < taps.count[o]; ++i) largest = std::max(largest, weights[static_cast<std::size_t>(i)]);
  });
  return fixedTaps(shortBits(largest), inSize, 0.0F, end, outSize, kernel);
}

}  // namespace ved::image
