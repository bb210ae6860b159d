#include "convolve.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ved::image {
namespace {

std::uint8_t clamp8(std::int32_t value, int bits) {
  return static_cast<std::uint8_t>(std::clamp(value >> bits, 0, 255));
}

template <int kChannels>
void convolveRow(const std::uint8_t* in, std::uint8_t* out, const Taps& taps) {
  const std::size_t outputs = taps.first.size();
  for (std::size_t o = 0; o < outputs; ++o) {
    const std::int32_t* weight = taps.weight.data() + o * static_cast<std::size_t>(taps.stride);
    const std::uint8_t* pixel = in + static_cast<std::size_t>(taps.first[o]) * kChannels;
    std::int32_t sum[kChannels];
    std::fill_n(sum, kChannels, 1 << (taps.bits - 1));
    for (int i = 0; i < taps.count[o]; ++i, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sum[c] += pixel[c] * weight[i];
    }
    for (int c = 0; c < kChannels; ++c) *out++ = clamp8(sum[c], taps.bits);
  }
}

using RowFunction = void (*)(const std::uint8_t*, std::uint8_t*, const Taps&);

RowFunction rowFunction(int channels) {
  constexpr RowFunction functions[] = {convolveRow<1>, convolveRow<2>, convolveRow<3>, convolveRow<4>};
  return functions[channels - 1];
}

}  // namespace

Image alongRows(const Image& image, const Taps& taps) {
  Image out = makeImage(static_cast<std::int64_t>(taps.first.size()), image.height, image.channels);
  const RowFunction convolve = rowFunction(image.channels);
  for (int y = 0; y < image.height; ++y) convolve(image.row(y), out.row(y), taps);
  return out;
}

Image alongColumns(const Image& image, const Taps& taps) {
  Image out = makeImage(image.width, static_cast<std::int64_t>(taps.first.size()), image.channels);
  const std::size_t bytes = image.rowBytes();
  std::vector<std::int32_t> sum(bytes);
  for (int y = 0; y < out.height; ++y) {
    const auto o = static_cast<std::size_t>(y);
    const std::int32_t* weight = taps.weight.data() + o * static_cast<std::size_t>(taps.stride);
    std::fill(sum.begin(), sum.end(), 1 << (taps.bits - 1));
    for (int i = 0; i < taps.count[o]; ++i) {
      const std::uint8_t* in = image.row(taps.first[o] + i);
      for (std::size_t x = 0; x < bytes; ++x) sum[x] += in[x] * weight[i];
    }
    std::transform(sum.begin(), sum.end(), out.row(y), [&](std::int32_t value) { return clamp8(value, taps.bits); });
  }
  return out;
}

}  // namespace ved::image
