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

void checkBox(Extent image, Box box) {
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

using Passes = std::vector<ResizePass>;

/// Rows first; an axis that keeps its size has no pass.
void addConvolution(Passes& passes, Extent in, Extent out, Kernel kernel, Box box) {
  if (!keepsAxis(in.width, box.left, box.right, out.width))
    passes.push_back(RowsPass{makeTaps(in.width, box.left, box.right, out.width, kernel)});
  if (!keepsAxis(in.height, box.top, box.bottom, out.height))
    passes.push_back(ColumnsPass{makeTaps(in.height, box.top, box.bottom, out.height, kernel)});
}

void addBox(Passes& passes, Extent in, Extent out, Filter filter, Box box) {
  checkBox(in, box);
  if (filter == Filter::kNearest) {
    passes.push_back(PickPass{nearestIndices(in.width, box.left, box.right, out.width),
                              nearestIndices(in.height, box.top, box.bottom, out.height)});
    return;
  }
  const Kernel kernel = kernelOf(filter);
  const bool tall = in.height > std::int64_t{in.width} * 100 && out.height < in.height;
  if (!tall) return addConvolution(passes, in, out, kernel, box);
  const Extent between{in.width, out.height};
  addConvolution(passes, in, between, kernel, {0.0F, box.top, static_cast<float>(in.width), box.bottom});
  addConvolution(passes, between, out, kernel, {box.left, 0.0F, box.right, static_cast<float>(out.height)});
}

Box wholeBox(Extent image) { return {0.0F, 0.0F, static_cast<float>(image.width), static_cast<float>(image.height)}; }

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

Box fullBox(const Image& image) { return wholeBox({image.width, image.height}); }

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

Extent extentAfter(const ResizePass& pass, Extent in) {
  if (const auto* reduced = std::get_if<ReducePass>(&pass)) {
    const auto blocks = [](int side, int factor) {
      return static_cast<int>((std::int64_t{side} + factor - 1) / factor);
    };
    return {blocks(in.width, reduced->fx), blocks(in.height, reduced->fy)};
  }
  if (const auto* rows = std::get_if<RowsPass>(&pass)) return {static_cast<int>(rows->taps.first.size()), in.height};
  if (const auto* columns = std::get_if<ColumnsPass>(&pass))
    return {in.width, static_cast<int>(columns->taps.first.size())};
  const auto& picked = std::get<PickPass>(pass);
  return {static_cast<int>(picked.columns.size()), static_cast<int>(picked.rows.size())};
}

std::vector<ResizePass> resizePasses(Extent in, Extent out, Filter filter, double reducingGap) {
  if (reducingGap != 0.0 && !(reducingGap >= 1.0)) {
    throw std::invalid_argument("resize reducingGap: expected 0 (none) or at least 1, got " +
                                std::to_string(reducingGap));
  }
  Passes passes;
  if (in.width == out.width && in.height == out.height) return passes;
  const bool gap = reducingGap != 0.0 && filter != Filter::kNearest;
  const int fx = gap ? gapFactor(in.width, out.width, reducingGap) : 1;
  const int fy = gap ? gapFactor(in.height, out.height, reducingGap) : 1;
  if (fx == 1 && fy == 1) {
    addBox(passes, in, out, filter, wholeBox(in));
    return passes;
  }
  passes.push_back(ReducePass{fx, fy});
  const Box box{0.0F, 0.0F, static_cast<float>(static_cast<double>(in.width) / fx),
                static_cast<float>(static_cast<double>(in.height) / fy)};
  addBox(passes, extentAfter(passes.front(), in), out, filter, box);
  return passes;
}

std::vector<ResizePass> torchvisionPasses(Extent in, Extent out, Filter filter) {
  if (filter == Filter::kBox || filter == Filter::kHamming) {
    throw std::invalid_argument(
        "resize filter: expected nearest, Lanczos, bilinear or bicubic in torchvision's form, got " +
        std::to_string(static_cast<int>(filter)));
  }
  Passes passes;
  if (in.width == out.width && in.height == out.height) return passes;
  if (filter == Filter::kNearest) {
    passes.push_back(PickPass{nearestExactIndices(in.width, out.width), nearestExactIndices(in.height, out.height)});
    return passes;
  }
  const Kernel kernel = kernelOf(filter);
  if (in.width != out.width) passes.push_back(RowsPass{makeShortTaps(in.width, out.width, kernel)});
  if (in.height != out.height) passes.push_back(ColumnsPass{makeShortTaps(in.height, out.height, kernel)});
  return passes;
}

namespace {

struct RunPass {
  const Image& image;
  Image operator()(const ReducePass& pass) const { return reduce(image, pass.fx, pass.fy); }
  Image operator()(const RowsPass& pass) const { return alongRows(image, pass.taps); }
  Image operator()(const ColumnsPass& pass) const { return alongColumns(image, pass.taps); }
  Image operator()(const PickPass& pass) const { return pickPixels(image, pass.columns, pass.rows); }
};

Image run(const Image& image, const Passes& passes) {
  if (passes.empty()) return image;
  Image out = std::visit(RunPass{image}, passes.front());
  for (std::size_t i = 1; i < passes.size(); ++i) out = std::visit(RunPass{out}, passes[i]);
  return out;
}

}  // namespace

Image resizeBox(const Image& image, int width, int height, Filter filter, Box box) {
  checkedBytes(width, height, image.channels);
  Passes passes;
  addBox(passes, {image.width, image.height}, {width, height}, filter, box);
  return run(image, passes);
}

Image resize(const Image& image, int width, int height, Filter filter, double reducingGap) {
  checkedBytes(width, height, image.channels);
  return run(image, resizePasses({image.width, image.height}, {width, height}, filter, reducingGap));
}

Image resizeTorchvision(const Image& image, int width, int height, Filter filter) {
  checkedBytes(width, height, image.channels);
  return run(image, torchvisionPasses({image.width, image.height}, {width, height}, filter));
}

}  // namespace ved::image
