// Steps that move whole pixels: crop, pad, rotate, orient.
#pragma once

#include "arithmetic.h"
#include "image.h"

namespace ved::image {

/// The part [x, x + width) x [y, y + height), which has to lie inside the image.
Image crop(const Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height);

struct Margins {
  std::int64_t left, top, right, bottom;
};

/// Adds rows and columns of `value` (every channel).
Image pad(const Image& image, Margins margins, std::uint8_t value);

/// The centre crop of transformers' numpy path: offset (in - crop) // 2 rounded down; where the image is smaller it is
/// first padded with zeros, the larger half on the left and top; in torchvision's form on the right and bottom.
Image centerCrop(const Image& image, std::int64_t width, std::int64_t height,
                 Arithmetic arithmetic = Arithmetic::kPillow);

/// Places the image in the middle of width x height zeros, the larger half right and below (Donut, Nougat); refuses an
/// image that is larger.
Image padCentered(const Image& image, std::int64_t width, std::int64_t height, std::uint8_t value);

/// Quarter turns clockwise; any whole number.
Image rotate90(const Image& image, int turns);

/// Output (x, y) of a turned image is input pixel start + x * stepX + y * stepY.
struct Walk {
  std::ptrdiff_t start, stepX, stepY;
  bool swapSides;
};

/// What orient() does to an image of this size; std::invalid_argument for an orientation that does not exist.
Walk walkOf(int width, int height, int orientation);

/// Turns stored pixels upright by the EXIF orientation 1 to 8 (EXIF 2.32, 4.6.4 A), as ImageOps.exif_transpose does.
Image orient(const Image& image, int orientation);

}  // namespace ved::image
