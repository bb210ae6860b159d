// Bytes of images to pixel values: a launch per pass for all images of a run, whatever their sizes, then one that looks
// the values up.
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxImages = 65535;  // one per row of the grid

__device__ __forceinline__ const uint8_t* inputOf(const PixelJob& job, int32_t pass) {
  return pass == 0 ? job.source : job.areas[(pass - 1) % 2];
}

__device__ __forceinline__ uint32_t output() { return blockIdx.x * kThreads + threadIdx.x; }

// A byte per thread: at most 2^31 of them (image/image.h), so that 32 bits can be divided.
__global__ void pixelPassKernel(const PixelJob* jobs, int32_t number) {
  const PixelJob& job = jobs[blockIdx.y];
  if (number >= job.passCount) return;
  const PixelPass& pass = job.passes[number];
  const uint32_t i = output(), channels = static_cast<uint32_t>(job.channels);
  const uint32_t line = static_cast<uint32_t>(pass.width) * channels;
  if (i >= line * static_cast<uint32_t>(pass.height)) return;
  const uint32_t y = i / line, inLine = i % line;
  job.areas[number % 2][i] =
      ops::passByte(pass, job.words, inputOf(job, number), job.channels, static_cast<int32_t>(inLine / channels),
                    static_cast<int32_t>(y), static_cast<int32_t>(inLine % channels));
}

__global__ void pixelValuesKernel(const PixelJob* jobs) {
  const PixelJob& job = jobs[blockIdx.y];
  const uint32_t i = output(), width = static_cast<uint32_t>(job.width);
  const uint32_t plane = width * static_cast<uint32_t>(job.height);
  const uint32_t c = i / plane;
  if (c >= static_cast<uint32_t>(job.channels)) return;
  const uint32_t pixel = i % plane;
  const int64_t at = ops::pixelSeen(job.view, static_cast<int32_t>(pixel % width), static_cast<int32_t>(pixel / width));
  const uint8_t* in = inputOf(job, job.passCount);
  const int32_t level = at < 0 ? job.view.fill : in[at * job.channels + c];
  job.planes[i] = job.levels[c * 256 + static_cast<uint32_t>(level)];
}

}  // namespace

Status preparePixels(Context& c, const PixelCall& a) {
  if (a.images > kMaxImages) return rejected(c, "more images than a launch has rows");
  if (a.images == 0 || a.outputs == 0) return kOk;
  const dim3 grid(blocksFor(a.outputs, kThreads), static_cast<unsigned>(a.images));
  if (a.pass == kPlanes)
    launchKernel(c.stream, pixelValuesKernel, grid, dim3(kThreads), 0, a.jobs);
  else
    launchKernel(c.stream, pixelPassKernel, grid, dim3(kThreads), 0, a.jobs, a.pass);
  return launched(c, "prepare_pixels");
}

}  // namespace ved::cuda
