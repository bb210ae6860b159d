// A list of image steps as one job: what the addon runs off the event loop.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "arithmetic.h"
#include "colour.h"
#include "filter.h"
#include "image.h"
#include "normalize.h"

namespace ved::image {

struct ResizeStep {
  std::int64_t width, height;
  Filter filter;
  double reducingGap;  // 0: none; Pillow only
  Arithmetic arithmetic = Arithmetic::kPillow;
};
struct CropStep {
  std::int64_t x, y, width, height;
};
struct CenterCropStep {
  std::int64_t width, height;
  Arithmetic arithmetic = Arithmetic::kPillow;
};
struct PadStep {
  std::int64_t left, top, right, bottom;
  std::uint8_t value;
};
struct PadCenteredStep {
  std::int64_t width, height;
  std::uint8_t value;
};
struct Rotate90Step {
  int turns;  // clockwise
};
struct OrientStep {
  int orientation;  // EXIF, 1 to 8
};
struct CropMarginStep {
  double threshold;
  Arithmetic arithmetic = Arithmetic::kPillow;
};
struct FillTransparentStep {
  Rgb colour;
};
struct ToRgbStep {};
struct CmykToRgbStep {};
struct ToGrayStep {};
struct NormalizeStep {
  Normalization by;
};

using Step = std::variant<ResizeStep, CropStep, CenterCropStep, PadStep, PadCenteredStep, Rotate90Step, OrientStep,
                          CropMarginStep, FillTransparentStep, ToRgbStep, CmykToRgbStep, ToGrayStep, NormalizeStep>;

inline constexpr std::size_t kMaxSteps = 64;

/// Pixels [height, width, channels], or planes [channels, height, width] when the last step normalises.
using StepResult = std::variant<Image, Planes>;

/// Applies the steps in order. Throws std::invalid_argument for a value out of range, for more than kMaxSteps steps, or
/// for a NormalizeStep that is not the last.
StepResult applySteps(Image image, const std::vector<Step>& steps);

}  // namespace ved::image
