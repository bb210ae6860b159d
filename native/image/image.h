// Interleaved 8-bit images: the value every step of native/image takes and returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ved::image {

/// Longest side and largest byte count of any image, intermediate images included. A request beyond them is refused
/// before anything is allocated.
inline constexpr int kMaxSide = 1 << 26;
inline constexpr std::size_t kMaxBytes = (std::size_t{1} << 31) - 1;

/// Row-major interleaved pixels: data[(y * width + x) * channels + c].
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;  // 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha or CMYK
  std::vector<std::uint8_t> data;

  std::uint8_t* row(int y) { return data.data() + rowBytes() * static_cast<std::size_t>(y); }
  const std::uint8_t* row(int y) const { return data.data() + rowBytes() * static_cast<std::size_t>(y); }
  std::size_t rowBytes() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels); }
};

/// width * height * channels, or std::invalid_argument naming the value that is out of range.
std::size_t checkedBytes(std::int64_t width, std::int64_t height, std::int64_t channels);

/// A zeroed image of a checked size.
Image makeImage(std::int64_t width, std::int64_t height, std::int64_t channels);

/// Takes ownership of pixels; throws std::invalid_argument when their number is not width * height * channels.
Image fromPixels(std::vector<std::uint8_t> pixels, std::int64_t width, std::int64_t height, std::int64_t channels);

}  // namespace ved::image
