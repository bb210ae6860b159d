#include "colour.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "geometry.h"

namespace ved::image {
namespace {

std::uint32_t multiply255(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

void requireChannels(const char* step, int expected, int got) {
  if (expected == got) return;
  throw std::invalid_argument(std::string(step) + ": expected " + std::to_string(expected) + " channels, got " +
                              std::to_string(got));
}

struct Bounds {
  int left, top, right, bottom;  // inclusive; right < left when empty
};

/// The box of the pixels whose stretched level is below the threshold, by a table over the 256 grey levels.
Bounds darkBounds(const Image& gray, const bool (&dark)[256]) {
  Bounds box{gray.width, gray.height, -1, -1};
  for (int y = 0; y < gray.height; ++y) {
    const std::uint8_t* row = gray.row(y);
    for (int x = 0; x < gray.width; ++x) {
      if (!dark[row[x]]) continue;
      box.left = std::min(box.left, x);
      box.right = std::max(box.right, x);
      box.top = std::min(box.top, y);
      box.bottom = y;
    }
  }
  return box;
}

Image torchvisionGray(const Image& image) {
  if (image.channels == 1) return image;
  requireChannels("toGray", 3, image.channels);
  Image out = makeImage(image.width, image.height, 1);
  const std::uint8_t* in = image.data.data();
  for (std::uint8_t& level : out.data) {
    const float red = 0.2989F * static_cast<float>(in[0]);
    level = static_cast<std::uint8_t>(std::fma(0.114F, in[2], std::fma(0.587F, in[1], red)));
    in += 3;
  }
  return out;
}

/// Whether a grey level, stretched from [low, high] to 0..255, lies below the threshold.
bool isDark(int level, int low, int high, double threshold, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::kTorchvision) {
    return static_cast<float>(level - low) / static_cast<float>(high - low) * 255.0F < static_cast<float>(threshold);
  }
  return (level - low) / static_cast<double>(high - low) * 255 < threshold;
}

}  // namespace

Image toRgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out = makeImage(image.width, image.height, 3);
  const std::size_t step = static_cast<std::size_t>(image.channels);
  const std::size_t green = image.channels == 4 ? 1 : 0;
  const std::size_t blue = image.channels == 4 ? 2 : 0;
  const std::uint8_t* in = image.data.data();
  for (std::size_t i = 0; i < out.data.size(); i += 3, in += step) {
    out.data[i] = in[0];
    out.data[i + 1] = in[green];
    out.data[i + 2] = in[blue];
  }
  return out;
}

Image fillTransparent(const Image& image, Rgb colour) {
  requireChannels("fillTransparent", 4, image.channels);
  Image out = makeImage(image.width, image.height, 3);
  const std::uint8_t fill[] = {colour.red, colour.green, colour.blue};
  const std::uint8_t* in = image.data.data();
  for (std::size_t i = 0; i < out.data.size(); i += 3, in += 4) {
    std::copy_n(in[3] == 0 ? fill : in, 3, out.data.data() + i);
  }
  return out;
}

Image cmykToRgb(const Image& image) {
  requireChannels("cmykToRgb", 4, image.channels);
  Image out = makeImage(image.width, image.height, 3);
  const std::uint8_t* in = image.data.data();
  for (std::size_t i = 0; i < out.data.size(); i += 3, in += 4) {
    const std::uint32_t light = 255U - in[3];
    for (std::size_t c = 0; c < 3; ++c) out.data[i + c] = static_cast<std::uint8_t>(light - multiply255(in[c], light));
  }
  return out;
}

Image toGray(const Image& image) {
  if (image.channels == 1) return image;
  requireChannels("toGray", 3, image.channels);
  Image out = makeImage(image.width, image.height, 1);
  const std::uint8_t* in = image.data.data();
  for (std::uint8_t& level : out.data) {
    level = static_cast<std::uint8_t>((19595U * in[0] + 38470U * in[1] + 7471U * in[2] + 32768U) >> 16);
    in += 3;
  }
  return out;
}

Image cropMargin(const Image& image, double threshold, Arithmetic arithmetic) {
  const Image gray = arithmetic == Arithmetic::kTorchvision ? torchvisionGray(image) : toGray(image);
  const auto [low, high] = std::minmax_element(gray.data.begin(), gray.data.end());
  if (*low == *high) return image;
  bool dark[256];
  for (int level = 0; level < 256; ++level) dark[level] = isDark(level, *low, *high, threshold, arithmetic);
  const Bounds box = darkBounds(gray, dark);
  if (box.right < box.left) return image;
  return crop(image, box.left, box.top, box.right - box.left + 1, box.bottom - box.top + 1);
}

}  // namespace ved::image
