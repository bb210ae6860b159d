// Image.resize of Pillow and resize of torchvision, bit for bit, on 8-bit channels that do not depend on each other.
// (Pillow multiplies RGBA and LA by alpha first; here alpha is one more channel, as in Pillow's RGBX and CMYK.)
#pragma once

#include <variant>
#include <vector>

#include "filter.h"
#include "image.h"
#include "taps.h"

namespace ved::image {

/// The part of an image that is resized, in pixels, not necessarily whole: [left, right) x [top, bottom).
struct Box {
  float left, top, right, bottom;
};

/// The whole image as a box.
Box fullBox(const Image& image);

/// Resizes `box` of `image` to width x height. Convolving filters run along rows first, round to 8 bits, then along
/// columns; an axis that keeps its size is skipped. An image over 100 times as high as wide that shrinks in height runs
/// along columns first. kNearest picks trunc of the running centre (o + 0.5) * scale.
Image resizeBox(const Image& image, int width, int height, Filter filter, Box box);

/// Image.resize((width, height), filter, reducing_gap=gap). gap 0 means none; with gap >= 1 the image is first reduced
/// by whole factors max(int(in / out / gap), 1) and then resized from the fractional box in / factor.
Image resize(const Image& image, int width, int height, Filter filter, double reducingGap = 0.0);

/// torchvision's resize(image, (height, width), antialias=True) of an 8-bit tensor (0.28, behaviour measured with
/// AVX-512): Pillow's taps with 16-bit weights, rows first, rounding to 8 bits between; kNearest is nearest-exact. kBox
/// and kHamming do not exist there and throw std::invalid_argument.
Image resizeTorchvision(const Image& image, int width, int height, Filter filter);

struct ReducePass {
  int fx, fy;
};
struct RowsPass {
  Taps taps;
};
struct ColumnsPass {
  Taps taps;
};
/// Column and row of the input for every column and row of the output, -1 for none.
struct PickPass {
  std::vector<int> columns, rows;
};
using ResizePass = std::variant<ReducePass, RowsPass, ColumnsPass, PickPass>;

struct Extent {
  int width, height;
};

/// What resize() and resizeTorchvision() do, as passes over images of 1 to 4 channels; none where nothing changes.
std::vector<ResizePass> resizePasses(Extent in, Extent out, Filter filter, double reducingGap = 0.0);
std::vector<ResizePass> torchvisionPasses(Extent in, Extent out, Filter filter);

/// The size after a pass.
Extent extentAfter(const ResizePass& pass, Extent in);

/// Image.reduce((fx, fy)): the rounded mean of each block, (sum + n / 2) * floor(2^24 / n) >> 24; blocks at the right
/// and bottom edge may be smaller, n is their own pixel count.
Image reduce(const Image& image, int fx, int fy);

}  // namespace ved::image
