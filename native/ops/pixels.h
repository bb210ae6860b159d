// From bytes of images of any size to pixel values: the passes of a PixelProgram. Integers all the way, a table of
// values at the end, so that every backend gives the bits of native/image.
#pragma once
#include <cstdint>

#include "core/host_device.h"
#include "core/pixel_program.h"

namespace ved::ops {

struct PixelSource {
  const uint8_t* bytes;  // [inHeight, inWidth, channels], on the host
  const PixelProgram* program;
  float* planes;  // [channels, height, width], in the backend's memory
};
struct PreparePixelsArgs {
  const PixelSource* images;
  int64_t count;
};

// Index of the pixel that a view shows at (x, y), -1 for none.
VED_HOST_DEVICE inline int64_t pixelSeen(const PixelView& v, int32_t x, int32_t y) {
  const int32_t column = x - v.left, row = y - v.top;
  if (column < 0 || row < 0 || column >= v.width || row >= v.height) return -1;
  return v.start + column * v.stepX + row * v.stepY;
}

// clamp8((2^(bits - 1) + sum over i < count[o] of weight[o, i] * in[first[o] + i]) >> bits); `in` begins at the line's
// first pixel, and neighbours lie `step` bytes apart.
VED_HOST_DEVICE inline uint8_t weighedByte(const PixelPass& p, const int32_t* words, const uint8_t* in, int64_t step,
                                           int32_t o) {
  const int32_t* weight = words + p.weights + static_cast<int64_t>(o) * p.stride;
  const uint8_t* byte = in + words[p.first + o] * step;
  const int32_t count = words[p.count + o];
  int32_t sum = 1 << (p.bits - 1);
  for (int32_t i = 0; i < count; ++i) sum += byte[i * step] * weight[i];
  sum >>= p.bits;
  return static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

// (sum + n / 2) * floor(2^24 / n) >> 24 over the n pixels of a block; those at the right and bottom edge are smaller.
VED_HOST_DEVICE inline uint8_t blockMean(const PixelPass& p, const uint8_t* in, int32_t channels, int32_t x, int32_t y,
                                         int32_t c) {
  const int64_t left = static_cast<int64_t>(x) * p.factorX, top = static_cast<int64_t>(y) * p.factorY;
  const int64_t right = left + p.factorX < p.inWidth ? left + p.factorX : p.inWidth;
  const int64_t bottom = top + p.factorY < p.inHeight ? top + p.factorY : p.inHeight;
  const uint64_t count = static_cast<uint64_t>((right - left) * (bottom - top));
  uint64_t sum = count / 2;
  for (int64_t row = top; row < bottom; ++row)
    for (int64_t column = left; column < right; ++column) sum += in[(row * p.inWidth + column) * channels + c];
  return static_cast<uint8_t>(sum * ((uint64_t{1} << 24) / count) >> 24);
}

// Channel c of pixel (x, y) after a pass over `in`.
VED_HOST_DEVICE inline uint8_t passByte(const PixelPass& p, const int32_t* words, const uint8_t* in, int32_t channels,
                                        int32_t x, int32_t y, int32_t c) {
  const int64_t line = static_cast<int64_t>(p.inWidth) * channels;
  switch (p.kind) {
    case PixelPassKind::Rows:
      return weighedByte(p, words, in + y * line + c, channels, x);
    case PixelPassKind::Columns:
      return weighedByte(p, words, in + static_cast<int64_t>(x) * channels + c, line, y);
    case PixelPassKind::Reduce:
      return blockMean(p, in, channels, x, y, c);
    case PixelPassKind::Pick: {
      const int32_t column = words[p.first + x], row = words[p.count + y];
      return column < 0 || row < 0 ? uint8_t{0} : in[row * line + static_cast<int64_t>(column) * channels + c];
    }
    case PixelPassKind::View:
      break;
  }
  const int64_t at = pixelSeen(p.view, x, y);
  return at < 0 ? static_cast<uint8_t>(p.view.fill) : in[at * channels + c];
}

}  // namespace ved::ops
