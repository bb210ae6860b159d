// The images of a request, and the pixel values of one encoder run.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "core/pixel_program.h"
#include "ops/buffer.h"
#include "plan/program.h"

namespace ved::engine {

// Values [batch, channels, height, width], or images whose values a backend that preparesPixels() computes.
struct Pixels {
  std::variant<std::vector<float>, std::vector<std::shared_ptr<const HeldImage>>> images;
  int64_t batch = 0, channels = 0, height = 0, width = 0;
  int64_t valuesPerImage() const { return channels * height * width; }
};

// One image of a request.
struct ImageOf {
  const Pixels* pixels;
  int64_t index;
};

class RunPixels {
 public:
  explicit RunPixels(ops::Backend& backend) : backend_(backend), values_(backend) {}
  // Binds the values of these images, all of one size, as an encoder run's pixels. On the host where all are values
  // already; else in the backend's memory, where they are computed. Good until the next call.
  void bind(std::span<const ImageOf> images, plan::Bindings& bindings);

 private:
  void prepare(std::span<const ImageOf> images);

  ops::Backend& backend_;
  std::vector<float> host_;
  ops::Buffer values_;
};

}  // namespace ved::engine
