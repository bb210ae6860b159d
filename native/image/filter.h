// The resampling kernels of Pillow, by Pillow's own numbers (Image.Resampling).
#pragma once

namespace ved::image {

enum class Filter { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

/// The filter of a Pillow number; std::invalid_argument for any other.
Filter filterFromPillow(int number);

struct Kernel {
  double (*weight)(double);  // of the distance in input pixels divided by the scale
  double support;            // the weight is zero beyond
};

/// The kernel of a convolving filter. kNearest has none: std::invalid_argument.
///   box       1                          |x| <= 0.5 (left end excluded)
///   bilinear  1 - |x|                    |x| < 1
///   hamming   sinc(x) (0.54 + 0.46 cos(pi x))   |x| < 1
///   bicubic   Keys' cubic, a = -0.5      |x| < 2
///   lanczos   sinc(x) sinc(x / 3)        |x| < 3
Kernel kernelOf(Filter filter);

}  // namespace ved::image
