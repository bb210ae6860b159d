#include "normalize.h"

#include <array>
#include <stdexcept>
#include <string>

namespace ved::image {
namespace {

using Table = std::array<float, 256>;

void checkCount(const char* what, std::size_t count, int channels) {
  if (count == static_cast<std::size_t>(channels)) return;
  throw std::invalid_argument("normalize " + std::string(what) + ": expected " + std::to_string(channels) +
                              " values, got " + std::to_string(count));
}

Table tabulate(const Normalization& by, std::size_t channel) {
  Table table;
  for (std::size_t level = 0; level < table.size(); ++level) {
    float value = static_cast<float>(level);
    if (by.rescale) value = static_cast<float>(static_cast<double>(level) * *by.rescale);
    if (!by.mean.empty()) {
      const float centered = value - static_cast<float>(by.mean[channel]);
      value = centered / static_cast<float>(by.std[channel]);
    }
    table[level] = value;
  }
  return table;
}

}  // namespace

Planes normalize(const Image& image, const Normalization& by) {
  if (!by.mean.empty() || !by.std.empty()) {
    checkCount("mean", by.mean.size(), image.channels);
    checkCount("std", by.std.size(), image.channels);
  }
  Planes planes{image.channels, image.height, image.width, {}};
  planes.data.resize(image.data.size());
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t pixels = image.data.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const Table table = tabulate(by, c);
    const std::uint8_t* in = image.data.data() + c;
    float* out = planes.data.data() + c * pixels;
    for (std::size_t i = 0; i < pixels; ++i) out[i] = table[in[i * channels]];
  }
  return planes;
}

}  // namespace ved::image
