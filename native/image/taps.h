// The integer weights of one axis of a resize.
#pragma once

#include <cstdint>
#include <vector>

#include "filter.h"

namespace ved::image {

inline constexpr int kWeightBits = 22;  // Pillow's fractional bits: 32 - 8 (pixel) - 2 (headroom for negative lobes)

/// Output pixel o is clamp8((2^(bits - 1) + sum over i < count[o] of weight[o * stride + i] * in[first[o] + i]) >>
/// bits).
struct Taps {
  int bits = kWeightBits;
  int stride = 0;
  std::vector<int> first;
  std::vector<int> count;
  std::vector<std::int32_t> weight;
};

/// Weights that map the interval [begin, end) of an axis of inSize pixels to outSize pixels, as Pillow's resampler does
/// (behaviour measured on 12.3; the box is float32 there, hence here):
///   scale = (end - begin) / outSize, stretch = max(scale, 1), reach = support * stretch, center = begin + (o + 0.5)
///   scale taps from trunc(center - reach + 0.5) (at least 0) to trunc(center + reach + 0.5) (at most inSize),
///   exclusive weight = kernel((tap - center + 0.5) / stretch), normalised to sum 1 in double, then 22 bits, half away
///   from zero
Taps makeTaps(int inSize, float begin, float end, int outSize, Kernel kernel);

/// The same taps of a whole axis with 16-bit weights, as torch interpolates 8-bit tensors: `bits` is the largest number
/// up to 22 for which the largest weight of the axis, rounded, stays below 2^15; at least 1.
Taps makeShortTaps(int inSize, int outSize, Kernel kernel);

}  // namespace ved::image
