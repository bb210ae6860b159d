#include "steps.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "geometry.h"
#include "resize.h"

namespace ved::image {
namespace {

/// One pixel step; NormalizeStep ends the list and is not among them.
struct PixelStep {
  const Image& image;

  Image operator()(const ResizeStep& s) const {
    checkedBytes(s.width, s.height, image.channels);  // before the sides are narrowed to int
    const auto [width, height] = std::pair(static_cast<int>(s.width), static_cast<int>(s.height));
    if (s.arithmetic == Arithmetic::kTorchvision) return resizeTorchvision(image, width, height, s.filter);
    return resize(image, width, height, s.filter, s.reducingGap);
  }
  Image operator()(const CropStep& s) const { return crop(image, s.x, s.y, s.width, s.height); }
  Image operator()(const CenterCropStep& s) const { return centerCrop(image, s.width, s.height, s.arithmetic); }
  Image operator()(const PadStep& s) const { return pad(image, {s.left, s.top, s.right, s.bottom}, s.value); }
  Image operator()(const PadCenteredStep& s) const { return padCentered(image, s.width, s.height, s.value); }
  Image operator()(const Rotate90Step& s) const { return rotate90(image, s.turns); }
  Image operator()(const OrientStep& s) const { return orient(image, s.orientation); }
  Image operator()(const CropMarginStep& s) const { return cropMargin(image, s.threshold, s.arithmetic); }
  Image operator()(const FillTransparentStep& s) const { return fillTransparent(image, s.colour); }
  Image operator()(const ToRgbStep&) const { return toRgb(image); }
  Image operator()(const CmykToRgbStep&) const { return cmykToRgb(image); }
  Image operator()(const ToGrayStep&) const { return toGray(image); }
  Image operator()(const NormalizeStep&) const {
    throw std::invalid_argument("steps: expected normalize as the last step, got steps after it");
  }
};

}  // namespace

StepResult applySteps(Image image, const std::vector<Step>& steps) {
  if (steps.size() > kMaxSteps) {
    throw std::invalid_argument("steps: expected at most " + std::to_string(kMaxSteps) + ", got " +
                                std::to_string(steps.size()));
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto* last = std::get_if<NormalizeStep>(&steps[i]);
    if (last != nullptr && i + 1 == steps.size()) return normalize(image, last->by);
    image = std::visit(PixelStep{image}, steps[i]);
  }
  return image;
}

}  // namespace ved::image
