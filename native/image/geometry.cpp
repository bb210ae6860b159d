#include "geometry.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ved::image {
namespace {

std::string sizeText(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

template <std::size_t kChannels>
void walkPixels(const Image& image, Image& out, Walk walk) {
  std::uint8_t* target = out.data.data();
  for (std::ptrdiff_t y = 0; y < out.height; ++y) {
    std::ptrdiff_t from = walk.start + y * walk.stepY;
    for (int x = 0; x < out.width; ++x, from += walk.stepX, target += kChannels) {
      const std::uint8_t* source = image.data.data() + from * static_cast<std::ptrdiff_t>(kChannels);
      for (std::size_t c = 0; c < kChannels; ++c) target[c] = source[c];
    }
  }
}

Image walked(const Image& image, Walk walk) {
  Image out = walk.swapSides ? makeImage(image.height, image.width, image.channels)
                             : makeImage(image.width, image.height, image.channels);
  switch (image.channels) {
    case 1:
      walkPixels<1>(image, out, walk);
      break;
    case 2:
      walkPixels<2>(image, out, walk);
      break;
    case 3:
      walkPixels<3>(image, out, walk);
      break;
    default:
      walkPixels<4>(image, out, walk);
      break;
  }
  return out;
}

std::int64_t half(std::int64_t value) { return value / 2; }
std::int64_t largerHalf(std::int64_t value) { return (value + 1) / 2; }

void checkMargin(const char* side, std::int64_t margin) {
  if (margin >= 0 && margin <= kMaxSide) return;
  throw std::invalid_argument("pad " + std::string(side) + ": expected 0 to " + std::to_string(kMaxSide) + ", got " +
                              std::to_string(margin));
}

}  // namespace

Image crop(const Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height) {
  const bool fits = x >= 0 && y >= 0 && width >= 1 && height >= 1 && width <= image.width && height <= image.height &&
                    x <= image.width - width && y <= image.height - height;
  if (!fits) {
    throw std::invalid_argument("crop: expected a part of " + sizeText(image.width, image.height) + ", got " +
                                sizeText(width, height) + " at (" + std::to_string(x) + ", " + std::to_string(y) + ")");
  }
  Image out = makeImage(width, height, image.channels);
  const auto offset = static_cast<std::size_t>(x) * static_cast<std::size_t>(image.channels);
  for (int row = 0; row < out.height; ++row) {
    std::copy_n(image.row(static_cast<int>(y) + row) + offset, out.rowBytes(), out.row(row));
  }
  return out;
}

Image pad(const Image& image, Margins margins, std::uint8_t value) {
  checkMargin("left", margins.left);
  checkMargin("top", margins.top);
  checkMargin("right", margins.right);
  checkMargin("bottom", margins.bottom);
  Image out = makeImage(image.width + margins.left + margins.right, image.height + margins.top + margins.bottom,
                        image.channels);
  if (value != 0) std::fill(out.data.begin(), out.data.end(), value);
  const auto offset = static_cast<std::size_t>(margins.left) * static_cast<std::size_t>(image.channels);
  for (int row = 0; row < image.height; ++row) {
    std::copy_n(image.row(row), image.rowBytes(), out.row(static_cast<int>(margins.top) + row) + offset);
  }
  return out;
}

Image centerCrop(const Image& image, std::int64_t width, std::int64_t height, Arithmetic arithmetic) {
  checkedBytes(width, height, image.channels);
  const std::int64_t missingX = std::max<std::int64_t>(width - image.width, 0);
  const std::int64_t missingY = std::max<std::int64_t>(height - image.height, 0);
  const std::int64_t x = half(std::max<std::int64_t>(image.width - width, 0));
  const std::int64_t y = half(std::max<std::int64_t>(image.height - height, 0));
  const Image part =
      crop(image, x, y, std::min<std::int64_t>(width, image.width), std::min<std::int64_t>(height, image.height));
  if (missingX == 0 && missingY == 0) return part;
  if (arithmetic == Arithmetic::kTorchvision) {
    return pad(part, {half(missingX), half(missingY), largerHalf(missingX), largerHalf(missingY)}, 0);
  }
  return pad(part, {largerHalf(missingX), largerHalf(missingY), half(missingX), half(missingY)}, 0);
}

Image padCentered(const Image& image, std::int64_t width, std::int64_t height, std::uint8_t value) {
  const std::int64_t missingX = width - image.width;
  const std::int64_t missingY = height - image.height;
  if (missingX < 0 || missingY < 0) {
    throw std::invalid_argument("pad: expected an image of at most " + sizeText(width, height) + ", got " +
                                sizeText(image.width, image.height));
  }
  return pad(image, {half(missingX), half(missingY), largerHalf(missingX), largerHalf(missingY)}, value);
}

Image rotate90(const Image& image, int turns) {
  constexpr int orientationOf[] = {1, 6, 3, 8};
  return orient(image, orientationOf[((turns % 4) + 4) % 4]);
}

Walk walkOf(int width, int height, int orientation) {
  const std::ptrdiff_t w = width;
  const std::ptrdiff_t last = w * height - 1;
  const std::ptrdiff_t bottom = last - w + 1;  // first pixel of the last row
  switch (orientation) {
    case 1:
      return {0, 1, w, false};
    case 2:
      return {w - 1, -1, w, false};  // mirrored left to right
    case 3:
      return {last, -1, -w, false};  // half turn
    case 4:
      return {bottom, 1, -w, false};  // mirrored top to bottom
    case 5:
      return {0, w, 1, true};  // transposed
    case 6:
      return {bottom, -w, 1, true};  // quarter turn clockwise
    case 7:
      return {last, -w, -1, true};  // transposed along the other diagonal
    case 8:
      return {w - 1, w, -1, true};  // quarter turn anticlockwise
    default:
      break;
  }
  throw std::invalid_argument("orientation: expected 1 to 8, got " + std::to_string(orientation));
}

Image orient(const Image& image, int orientation) {
  if (orientation == 1) return image;
  return walked(image, walkOf(image.width, image.height, orientation));
}

}  // namespace ved::image
