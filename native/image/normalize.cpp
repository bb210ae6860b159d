#include "normalize.h"

#include <stdexcept>
#include <string>

namespace ved::image {
namespace {

constexpr std::size_t kLevels = 256;

void checkCount(const char* what, std::size_t count, int channels) {
  if (count == static_cast<std::size_t>(channels)) return;
  throw std::invalid_argument("normalize " + std::string(what) + ": expected " + std::to_string(channels) +
                              " values, got " + std::to_string(count));
}

float pillowValue(const Normalization& by, std::size_t channel, std::size_t level) {
  float value = static_cast<float>(level);
  if (by.rescale) value = static_cast<float>(static_cast<double>(level) * *by.rescale);
  if (by.mean.empty()) return value;
  const float centered = value - static_cast<float>(by.mean[channel]);
  return centered / static_cast<float>(by.std[channel]);
}

float torchvisionValue(const Normalization& by, std::size_t channel, std::size_t level) {
  const auto value = static_cast<float>(level);
  if (by.mean.empty()) return by.rescale ? value * static_cast<float>(*by.rescale) : value;
  const float factor = by.rescale ? static_cast<float>(1.0 / *by.rescale) : 1.0F;
  const float mean = static_cast<float>(by.mean[channel]) * factor;
  const float centered = value - mean;
  return centered / (static_cast<float>(by.std[channel]) * factor);
}

}  // namespace

std::vector<float> levelValues(const Normalization& by, int channels) {
  if (!by.mean.empty() || !by.std.empty()) {
    checkCount("mean", by.mean.size(), channels);
    checkCount("std", by.std.size(), channels);
  }
  const auto valueOf = by.arithmetic == Arithmetic::kTorchvision ? torchvisionValue : pillowValue;
  std::vector<float> values(static_cast<std::size_t>(channels) * kLevels);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = valueOf(by, i / kLevels, i % kLevels);
  return values;
}

Planes normalize(const Image& image, const Normalization& by) {
  const std::vector<float> values = levelValues(by, image.channels);
  Planes planes{image.channels, image.height, image.width, {}};
  planes.data.resize(image.data.size());
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t pixels = image.data.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const float* table = values.data() + c * kLevels;
    const std::uint8_t* in = image.data.data() + c;
    float* out = planes.data.data() + c * pixels;
    for (std::size_t i = 0; i < pixels; ++i) out[i] = table[in[i * channels]];
  }
  return planes;
}

}  // namespace ved::image
