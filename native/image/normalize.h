// From 8-bit interleaved pixels to the float32 planes a model takes.
#pragma once

#include <optional>
#include <vector>

#include "arithmetic.h"
#include "image.h"

namespace ved::image {

/// Planes [channels, height, width], row-major.
struct Planes {
  int channels = 0;
  int height = 0;
  int width = 0;
  std::vector<float> data;
};

struct Normalization {
  std::optional<double> rescale;  // absent: pixels stay 0..255
  std::vector<double> mean;       // empty with std: no normalisation; else one per channel, rounded to float32
  std::vector<double> std;
  Arithmetic arithmetic = Arithmetic::kPillow;
};

/// The numpy path of transformers: v = float32(float64(px) * rescale), then (v - float32(mean)) / float32(std) with
/// both operations rounded to float32. The torchvision path folds the factor into mean and deviation:
/// (px - float32(mean) * f) / (float32(std) * f) with f = float32(1 / rescale); a rescale alone is px *
/// float32(rescale). A level has one value per channel, so 256 values per channel are tabulated.
Planes normalize(const Image& image, const Normalization& by);

/// The value of every level of every channel, [channels, 256]. Throws std::invalid_argument where mean or std have
/// another number of values.
std::vector<float> levelValues(const Normalization& by, int channels);

}  // namespace ved::image
