#include "engine/pixels.h"

#include <algorithm>

namespace ved::engine {
namespace {

// nullptr where they are still to be computed.
const float* valuesOf(const ImageOf& image) {
  if (const auto* values = std::get_if<std::vector<float>>(&image.pixels->images))
    return values->data() + image.index * image.pixels->valuesPerImage();
  const auto& held = std::get<1>(image.pixels->images)[static_cast<size_t>(image.index)];
  const auto* ready = std::get_if<PixelValues>(held.get());
  return ready ? ready->values.data() : nullptr;
}

}  // namespace

void RunPixels::bind(std::span<const ImageOf> images, plan::Bindings& bindings) {
  const bool ready = std::all_of(images.begin(), images.end(), [](const ImageOf& i) { return valuesOf(i) != nullptr; });
  bindings.pixelsInPlace = !ready;
  if (!ready) {
    prepare(images);
    bindings.pixels = values_.data();
    return;
  }
  const int64_t each = images.front().pixels->valuesPerImage();
  host_.resize(images.size() * static_cast<size_t>(each));
  for (size_t i = 0; i < images.size(); ++i)
    std::copy_n(valuesOf(images[i]), each, host_.data() + static_cast<int64_t>(i) * each);
  bindings.pixels = host_.data();
}

void RunPixels::prepare(std::span<const ImageOf> images) {
  const auto each = static_cast<size_t>(images.front().pixels->valuesPerImage());
  float* to = values_.reserve(images.size() * each);
  std::vector<ops::PixelSource> sources;
  for (const ImageOf& image : images) {
    if (const float* values = valuesOf(image)) {
      backend_.upload(to, values, each);
    } else {
      const auto& held = std::get<1>(image.pixels->images)[static_cast<size_t>(image.index)];
      const auto& waiting = std::get<UnpreparedImage>(*held);
      sources.push_back({waiting.bytes.data(), &waiting.program, to});
    }
    to += each;
  }
  backend_.preparePixels({sources.data(), static_cast<int64_t>(sources.size())});
}

}  // namespace ved::engine
