// Bytes of images in the host's memory to pixel values on the device, by the package's own library. Milliseconds of a batch,
// with the copies and the wait.
//   images LIBVED_CUDA
#include "common.cuh"
#include "image/program.h"
#include "own.cuh"

namespace {

using namespace ved;

struct Batch {
  const char* name;
  int count, width, height, side;
  image::Filter filter;
};
// The same as in torch_ops.py.
constexpr Batch kBatches[] = {{"19 lines of 1000x64 to 384x384, bilinear", 19, 1000, 64, 384, image::Filter::kBilinear},
                              {"28 photographs of 1000x1000 to 224x224, bicubic", 28, 1000, 1000, 224, image::Filter::kBicubic},
                              {"1 page of 1700x2200 to 896x896, bilinear", 1, 1700, 2200, 896, image::Filter::kBilinear}};

double measure(cuda::CudaBackend& backend, const Batch& b) {
  image::NormalizeStep values;
  values.by.rescale = 1.0 / 255;
  values.by.mean = values.by.std = {0.5, 0.5, 0.5};
  const auto program =
      image::programOf(b.width, b.height, 3, {image::ResizeStep{b.side, b.side, b.filter, 0.0}, values});
  std::vector<uint8_t> bytes(program->inBytes());
  uint32_t state = 1;
  for (uint8_t& value : bytes) state = state * 1664525u + 1013904223u, value = static_cast<uint8_t>(state >> 24);
  const size_t each = program->planeValues();
  float* planes = backend.allocate(each * static_cast<size_t>(b.count));
  std::vector<ops::PixelSource> sources;
  for (int i = 0; i < b.count; ++i) sources.push_back({bytes.data(), &*program, planes + static_cast<size_t>(i) * each});
  float last = 0;
  const double us = medianHostUs(2, 9, [&] {
    backend.preparePixels({sources.data(), b.count});
    backend.download(&last, planes + each * static_cast<size_t>(b.count) - 1, 1);
  });
  backend.release(planes);
  return us / 1000;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: images LIBVED_CUDA\n");
    return 1;
  }
  try {
    const auto backend = openBackend(argv[1]);
    for (const Batch& batch : kBatches)
      emit("prepare " + std::string(batch.name), measure(*backend, batch), "ms", "host bytes to float32 values on the device");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
