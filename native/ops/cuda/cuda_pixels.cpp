// preparePixels() of the CUDA backend: bytes, passes and tables of a group of images travel in one copy; behind them
// lie the two areas that the passes of each image write in turn.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ops/cuda/cuda_backend.h"

namespace ved::cuda {

namespace {

constexpr size_t kImagesPerGroup = 1024;

// Where the parts of one image lie in the block of its group.
struct Place {
  size_t source, passes, words, levels, areas[2];
};

size_t uploadedBytes(const PixelProgram& p) {
  return aligned(p.inBytes()) + aligned(p.passes.size() * sizeof(PixelPass)) +
         aligned(p.words.size() * sizeof(int32_t)) + aligned(p.levels.size() * sizeof(float));
}

size_t areaBytes(const PixelProgram& p) { return p.passes.empty() ? 0 : 2 * aligned(p.passBytes()); }

class Layout {
 public:
  explicit Layout(std::span<const ops::PixelSource> images) {
    take(images.size() * sizeof(PixelJob));
    for (const ops::PixelSource& image : images) {
      const PixelProgram& p = *image.program;
      Place& place = places.emplace_back();
      place.source = take(p.inBytes());
      place.passes = take(p.passes.size() * sizeof(PixelPass));
      place.words = take(p.words.size() * sizeof(int32_t));
      place.levels = take(p.levels.size() * sizeof(float));
    }
    uploaded = total;
    for (size_t i = 0; i < images.size(); ++i)
      for (size_t& area : places[i].areas) area = take(areaBytes(*images[i].program) / 2);
  }
  std::vector<Place> places;
  size_t uploaded = 0, total = 0;

 private:
  size_t take(size_t bytes) {
    const size_t at = total;
    total += aligned(bytes);
    return at;
  }
};

void fill(unsigned char* host, unsigned char* device, const Layout& layout, std::span<const ops::PixelSource> images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const PixelProgram& p = *images[i].program;
    const Place& place = layout.places[i];
    const auto put = [&](size_t at, const void* data, size_t bytes) {
      if (bytes) std::memcpy(host + at, data, bytes);
    };
    put(place.source, images[i].bytes, p.inBytes());
    put(place.passes, p.passes.data(), p.passes.size() * sizeof(PixelPass));
    put(place.words, p.words.data(), p.words.size() * sizeof(int32_t));
    put(place.levels, p.levels.data(), p.levels.size() * sizeof(float));
    const PixelJob job{device + place.source,
                       {device + place.areas[0], device + place.areas[1]},
                       reinterpret_cast<const PixelPass*>(device + place.passes),
                       reinterpret_cast<const int32_t*>(device + place.words),
                       reinterpret_cast<const float*>(device + place.levels),
                       images[i].planes,
                       p.view,
                       static_cast<int32_t>(p.passes.size()),
                       p.channels,
                       p.width,
                       p.height};
    put(i * sizeof job, &job, sizeof job);
  }
}

// Bytes after a pass, or values, of the image that has most.
int64_t mostOutputs(std::span<const ops::PixelSource> images, int32_t pass) {
  int64_t most = 0;
  for (const ops::PixelSource& image : images) {
    const PixelProgram& p = *image.program;
    if (pass == kPlanes) most = std::max(most, static_cast<int64_t>(p.planeValues()));
    if (pass < 0 || static_cast<size_t>(pass) >= p.passes.size()) continue;
    const PixelPass& one = p.passes[static_cast<size_t>(pass)];
    most = std::max(most, int64_t{p.channels} * one.width * one.height);
  }
  return most;
}

}  // namespace

// The block is as large as the next power of two: growing costs all recordings.
void CudaBackend::prepareGroup(std::span<const ops::PixelSource> images) {
  const Layout layout(images);
  auto* device = static_cast<unsigned char*>(grow(pixels_, std::bit_ceil(layout.total)));
  unsigned char* host = writable(pinnedPixels_, std::bit_ceil(layout.uploaded));
  fill(host, device, layout, images);
  check(api_.upload(context_, device, host, layout.uploaded));
  pinnedPixels_.inFlight = true;
  size_t passes = 0;
  for (const ops::PixelSource& image : images) passes = std::max(passes, image.program->passes.size());
  PixelCall call{reinterpret_cast<const PixelJob*>(device), static_cast<int64_t>(images.size()), 0, 0};
  for (; call.pass < static_cast<int32_t>(passes); ++call.pass) {
    call.outputs = mostOutputs(images, call.pass);
    check(api_.preparePixels(context_, &call));
  }
  call.pass = kPlanes;
  call.outputs = mostOutputs(images, kPlanes);
  check(api_.preparePixels(context_, &call));
}

void CudaBackend::preparePixels(const ops::PreparePixelsArgs& a) {
  const std::span<const ops::PixelSource> all(a.images, static_cast<size_t>(a.count));
  for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    size_t bytes = 0;
    for (; end < all.size() && end - begin < kImagesPerGroup; ++end) {
      bytes += uploadedBytes(*all[end].program) + areaBytes(*all[end].program);
      if (end > begin && bytes > pixelBytes_) break;
    }
    prepareGroup(all.subspan(begin, end - begin));
  }
}

}  // namespace ved::cuda
