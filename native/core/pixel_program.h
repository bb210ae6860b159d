// The way from the bytes of an image to a model's pixel values as plain data: written by native/image, run by a backend
// (ops/pixels.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace ved {

// Pixels moved as a whole: (x, y) is pixel start + (x - left) * stepX + (y - top) * stepY of the image that is looked
// at where it lies in [left, left + width) x [top, top + height), and `fill` in every channel elsewhere.
struct PixelView {
  int64_t start = 0, stepX = 1, stepY = 0;
  int32_t left = 0, top = 0, width = 0, height = 0;
  int32_t fill = 0;
};

enum class PixelPassKind : int32_t { View, Pick, Reduce, Rows, Columns };

// One pass over interleaved bytes. What it looks up lies in its program's words.
struct PixelPass {
  PixelPassKind kind = PixelPassKind::View;
  int32_t inWidth = 0, inHeight = 0, width = 0, height = 0;  // before and after
  int32_t factorX = 1, factorY = 1;                          // Reduce: sides of a block
  // Rows, Columns: one number per output column (row); weights in lines of `stride`. Pick: the input column of every
  // output column at `first`, the rows at `count`, -1 for none.
  int32_t bits = 0, stride = 0;
  int64_t first = 0, count = 0, weights = 0;
  PixelView view;
};

// Passes in order, then planes[c, y, x] = levels[c, byte] of what the view shows.
struct PixelProgram {
  int32_t channels = 0, inWidth = 0, inHeight = 0;
  int32_t width = 0, height = 0;  // of the planes
  std::vector<PixelPass> passes;
  PixelView view;
  std::vector<int32_t> words;
  std::vector<float> levels;  // [channels, 256]
  size_t planeValues() const {
    return static_cast<size_t>(channels) * static_cast<size_t>(width) * static_cast<size_t>(height);
  }
  size_t inBytes() const {
    return static_cast<size_t>(channels) * static_cast<size_t>(inWidth) * static_cast<size_t>(inHeight);
  }
  // Of the largest image between two passes.
  size_t passBytes() const {
    size_t most = 0;
    for (const PixelPass& pass : passes) {
      const size_t bytes =
          static_cast<size_t>(channels) * static_cast<size_t>(pass.width) * static_cast<size_t>(pass.height);
      if (bytes > most) most = bytes;
    }
    return most;
  }
};

// An image whose pixel values are still to be computed, or are there already.
struct UnpreparedImage {
  PixelProgram program;
  std::vector<uint8_t> bytes;  // [inHeight, inWidth, channels]
};
struct PixelValues {
  int64_t channels = 0, height = 0, width = 0;
  std::vector<float> values;  // [channels, height, width]
};
using HeldImage = std::variant<UnpreparedImage, PixelValues>;

}  // namespace ved
