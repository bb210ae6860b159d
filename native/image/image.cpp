#include "image.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace ved::image {
namespace {

void checkRange(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw std::invalid_argument("image " + std::string(what) + ": expected " + std::to_string(low) + " to " +
                              std::to_string(high) + ", got " + std::to_string(value));
}

}  // namespace

std::size_t checkedBytes(std::int64_t width, std::int64_t height, std::int64_t channels) {
  checkRange("width", width, 1, kMaxSide);
  checkRange("height", height, 1, kMaxSide);
  checkRange("channels", channels, 1, 4);
  // Both sides are at most 2^26 and channels at most 4: the product stays below 2^54.
  const auto bytes = static_cast<std::uint64_t>(width * height * channels);
  if (bytes > kMaxBytes) {
    throw std::invalid_argument("image size: expected at most " + std::to_string(kMaxBytes) + " bytes, got " +
                                std::to_string(width) + "x" + std::to_string(height) + "x" + std::to_string(channels));
  }
  return static_cast<std::size_t>(bytes);
}

Image makeImage(std::int64_t width, std::int64_t height, std::int64_t channels) {
  const std::size_t bytes = checkedBytes(width, height, channels);
  Image image{static_cast<int>(width), static_cast<int>(height), static_cast<int>(channels), {}};
  image.data.resize(bytes);
  return image;
}

Image fromPixels(std::vector<std::uint8_t> pixels, std::int64_t width, std::int64_t height, std::int64_t channels) {
  const std::size_t bytes = checkedBytes(width, height, channels);
  if (pixels.size() != bytes) {
    throw std::invalid_argument("image data: expected " + std::to_string(bytes) + " bytes (" + std::to_string(width) +
                                "x" + std::to_string(height) + "x" + std::to_string(channels) + "), got " +
                                std::to_string(pixels.size()));
  }
  Image image{static_cast<int>(width), static_cast<int>(height), static_cast<int>(channels), {}};
  image.data = std::move(pixels);
  return image;
}

}  // namespace ved::image
