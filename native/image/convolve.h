// One pass of a separable resize: every output pixel is a weighted sum along one axis.
#pragma once

#include "image.h"
#include "taps.h"

namespace ved::image {

/// As wide as `taps` says. Sums are exact integers, rounded to 8 bits.
Image alongRows(const Image& image, const Taps& taps);

/// As high as `taps` says.
Image alongColumns(const Image& image, const Taps& taps);

}  // namespace ved::image
