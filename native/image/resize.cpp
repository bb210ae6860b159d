#include "resize.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "convolve.h"
#include "taps.h"

namespace ved::image {
namespace {

/// Indices that the nearest filter reads along one axis, -1 outside; the centre is a running sum, as in Pillow.
std::vector<int> nearestIndices(int inSize, float begin, float end, int outSize) {
  const double scale = static_cast<double>(end - begin) / outSize;
  std::vector<int> indices(static_cast<std::size_t>(outSize));
  double center = begin + scale * 0.5;
  for (int& index : indices) {
    index = center >= 0.0 && center < inSize ? static_cast<int>(center) : -1;
    center += scale;
  }
  return indices;
}

void checkBox(const Image& image, Box box) {
  const bool ordered = box.left >= 0 && box.top >= 0 && box.right > box.left && box.bottom > box.top;
  const bool inside = box.right <= static_cast<float>(image.width) && box.bottom <= static_cast<float>(image.height);
  if (ordered && inside) return;
  throw std::invalid_argument("resize box: expected a part of " + std::to_string(image.width) + "x" +
                              std::to_string(image.height) + ", got [" + std::to_string(box.left) + ", " +
                              std::to_string(box.top) + ", " + std::to_string(box.right) + ", " +
                              std::to_string(box.bottom) + "]");
}

bool keepsAxis(int inSize, float begin, float end, int outSize) {
  return inSize == outSize && begin == 0.0F && end == static_cast<float>(inSize);
}

Image convolve(const Image& image, int width, int height, Kernel kernel, Box box) {
  const bool rows = !keepsAxis(image.width, box.left, box.right, width);
  const bool columns = !keepsAxis(image.height, box.top, box.bottom, height);
  if (!rows && !columns) return image;
  if (!columns) return alongRows(image, makeTaps(image.width, box.left, box.right, width, kernel));
  const Taps down = makeTaps(image.height, box.top, box.bottom, height, kernel);
  if (!rows) return alongColumns(image, down);
  return alongColumns(alongRows(image, makeTaps(image.width, box.left, box.right, width, kernel)), down);
}

/// Pillow's whole factor for one axis: int(in / out / gap), at least 1.
int gapFactor(int in, int out, double gap) {
  return std::max(static_cast<int>(static_cast<double>(in) / out / gap), 1);
}

void checkFactor(const char* axis, int factor, int side) {
  if (factor >= 1 && factor <= side) return;
  throw std::invalid_argument("reduce factor " + std::string(axis) + ": expected 1 to " + std::to_string(side) +
                              ", got " + std::to_string(factor));
}

std::uint8_t blockMean(const Image& image, int x0, int y0, int x1, int y1, int channel) {
  const auto count = static_cast<std::uint64_t>(x1 - x0) * static_cast<std::uint64_t>(y1 - y0);
  const std::uint64_t reciprocal = (std::uint64_t{1} << 24) / count;
  std::uint64_t sum = count / 2;
  for (int y = y0; y < y1; ++y) {
    const std::uint8_t* in =
        image.row(y) + static_cast<std::size_t>(x0) * static_cast<std::size_t>(image.channels) + channel;
    for (int x = x0; x < x1; ++x, in += image.channels) sum += *in;
  }
  return static_cast<std::uint8_t>(sum * reciprocal >> 24);
}

/// nearest-exact: floor((o + 0.5) * in / out), all in float32.
std::vector<int> nearestExactIndices(int inSize, int outSize) {
  const float scale = static_cast<float>(inSize) / static_cast<float>(outSize);
  std::vector<int> indices(static_cast<std::size_t>(outSize));
  for (std::size_t o = 0; o < indices.size(); ++o) {
    const auto index = static_cast<int>(std::floor((static_cast<float>(o) + 0.5F) * scale));
    indices[o] = std::min(index, inSize - 1);
  }
  return indices;
}

Image pickPixels(const Image& image, const std::vector<int>& columns, const std::vector<int>& rows) {
  Image out =
      makeImage(static_cast<std::int64_t>(columns.size()), static_cast<std::int64_t>(rows.size()), image.channels);
  const auto channels = static_cast<std::size_t>(image.channels);
  for (int y = 0; y < out.height; ++y) {
    const int from = rows[static_cast<std::size_t>(y)];
    if (from < 0) continue;
    std::uint8_t* target = out.row(y);
    for (const int column : columns) {
      if (column >= 0) std::copy_n(image.row(from) + static_cast<std::size_t>(column) * channels, channels, target);
      target += channels;
    }
  }
  return out;
}

}  // namespace

Box fullBox(const Image& image) {
  return {0.0F, 0.0F, static_cast<float>(image.width), static_cast<float>(image.height)};
}

Image reduce(const Image& image, int fx, int fy) {
  checkFactor("x", fx, image.width);
  checkFactor("y", fy, image.height);
  Image out =
      makeImage((std::int64_t{image.width} + fx - 1) / fx, (std::int64_t{image.height} + fy - 1) / fy, image.channels);
  std::uint8_t* target = out.data.data();
  for (int y = 0; y < image.height; y += fy) {
    for (int x = 0; x < image.width; x += fx) {
      const int right = std::min(x + fx, image.width);
      const int bottom = std::min(y + fy, image.height);
      for (int c = 0; c < image.channels; ++c) *target++ = blockMean(image, x, y, right, bottom, c);
    }
  }
  return out;
}

Image resizeBox(const Image& image, int width, int height, Filter filter, Box box) {
  checkedBytes(width, height, image.channels);
  checkBox(image, box);
  if (filter == Filter::kNearest) {
    return pickPixels(image, nearestIndices(image.width, box.left, box.right, width),
                      nearestIndices(image.height, box.top, box.bottom, height));
  }
  const Kernel kernel = kernelOf(filter);
  const bool tall = image.height > std::int64_t{image.width} * 100 && height < image.height;
  if (!tall) return convolve(image, width, height, kernel, box);
  const Box down{0.0F, box.top, static_cast<float>(image.width), box.bottom};
  const Box across{box.left, 0.0F, box.right, static_cast<float>(height)};
  return convolve(convolve(image, image.width, height, kernel, down), width, height, kernel, across);
}

Image resize(const Image& image, int width, int height, Filter filter, double reducingGap) {
  checkedBytes(width, height, image.channels);
  if (reducingGap != 0.0 && !(reducingGap >= 1.0)) {
    throw std::invalid_argument("resize reducingGap: expected 0 (none) or at least 1, got " +
                                std::to_string(reducingGap));
  }
  if (image.width == width && image.height == height) return image;
  if (reducingGap == 0.0 || filter == Filter::kNearest) return resizeBox(image, width, height, filter, fullBox(image));
  const int fx = gapFactor(image.width, width, reducingGap);
  const int fy = gapFactor(image.height, height, reducingGap);
  if (fx == 1 && fy == 1) return resizeBox(image, width, height, filter, fullBox(image));
  const Image reduced = reduce(image, fx, fy);
  const Box box{0.0F, 0.0F, static_cast<float>(static_cast<double>(image.width) / fx),
                static_cast<float>(static_cast<double>(image.height) / fy)};
  return resizeBox(reduced, width, height, filter, box);
}

Image resizeTorchvision(const Image& image, int width, int height, Filter filter) {
  checkedBytes(width, height, image.channels);
  if (filter == Filter::kBox || filter == Filter::kHamming) {
    throw std::invalid_argument(
        "resize filter: expected nearest, Lanczos, bilinear or bicubic in torchvision's form, got " +
        std::to_string(static_cast<int>(filter)));
  }
  if (image.width == width && image.height == height) return image;
  if (filter == Filter::kNearest) {
    return pickPixels(image, nearestExactIndices(image.width, width), nearestExactIndices(image.height, height));
  }
  const Kernel kernel = kernelOf(filter);
  const Image across = image.width == width ? image : alongRows(image, makeShortTaps(image.width, width, kernel));
  return across.height == height ? across : alongColumns(across, makeShortTaps(image.height, height, kernel));
}

}  // namespace ved::image
