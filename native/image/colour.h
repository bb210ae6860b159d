// Channel conversions with Pillow's integer formulas, and the page margin of Nougat, which is found on the grey image.
#pragma once

#include "arithmetic.h"
#include "image.h"

namespace ved::image {

/// Three channels: grey is repeated, alpha (the 2nd of 2, the 4th of 4) is dropped, not blended.
Image toRgb(const Image& image);

struct Rgb {
  std::uint8_t red, green, blue;
};

/// Four channels to three: alpha is dropped and pixels of alpha 0 take `colour`. A GIF decoder that knows only RGBA
/// loses the palette colour of the transparent index; this puts it back.
Image fillTransparent(const Image& image, Rgb colour);

/// CMYK to RGB without a profile: with k = 255 - K, R = clamp8(k - mul255(C, k)), mul255(a, b) = a b / 255 rounded.
Image cmykToRgb(const Image& image);

/// RGB to "L": (19595 R + 38470 G + 7471 B + 32768) >> 16. One channel is returned as it is.
Image toGray(const Image& image);

/// Nougat's crop_margin: the grey image is stretched to 0..255 in float64; the box of all pixels below `threshold`
/// is kept. An image of one grey level is returned unchanged. torchvision's grey is 0.2989 R + 0.587 G + 0.114 B in
/// float32, each addition fused with its product, cut off to 8 bits; it is stretched in float32.
Image cropMargin(const Image& image, double threshold, Arithmetic arithmetic = Arithmetic::kPillow);

}  // namespace ved::image
