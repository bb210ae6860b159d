// Device memory (read, write, copy) and L2 bandwidth. Bytes are those the program asks for: a copy counts both ways.
#include "common.cuh"

namespace {

constexpr int kThreads = 512;
constexpr int kUnroll = 8;

__device__ uint4 mix(uint4 a, uint4 b) { return make_uint4(a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w); }

// Each thread has kUnroll loads in flight; the store never happens, which the compiler cannot know.
__global__ void __launch_bounds__(kThreads) readKernel(const uint4* from, size_t count, uint32_t never, uint4* sink) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  uint4 sum = make_uint4(0, 0, 0, 0);
  for (; i + (kUnroll - 1) * stride < count; i += kUnroll * stride) {
    uint4 value[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) value[u] = __ldcs(from + i + u * stride);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) sum = mix(sum, value[u]);
  }
  for (; i < count; i += stride) sum = mix(sum, from[i]);
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == never) *sink = sum;
}

__global__ void __launch_bounds__(kThreads) copyKernel(const uint4* from, uint4* to, size_t count) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kUnroll - 1) * stride < count; i += kUnroll * stride) {
    uint4 value[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) value[u] = __ldcs(from + i + u * stride);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) __stcs(to + i + u * stride, value[u]);
  }
  for (; i < count; i += stride) to[i] = from[i];
}

__global__ void __launch_bounds__(kThreads) writeKernel(uint4* to, size_t count, uint32_t seed) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  const uint32_t id = blockIdx.x * blockDim.x + threadIdx.x;
  const uint4 value = make_uint4(seed ^ id, seed + id, id * 2654435761u, seed * 40503u ^ id);
  for (size_t i = id; i < count; i += stride) __stcs(to + i, value);
}

// `passes` over a buffer that fits L2. Blocks change places after each pass and loads go past L1, so no pass finds its
// data there.
__global__ void __launch_bounds__(kThreads)
    cacheKernel(const uint4* from, size_t count, int passes, uint32_t never, uint4* sink) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  uint4 sum = make_uint4(0, 0, 0, 0);
  for (int pass = 0; pass < passes; ++pass) {
    const unsigned place = (blockIdx.x + pass * 29u) % gridDim.x;
    size_t i = static_cast<size_t>(place) * blockDim.x + threadIdx.x;
    for (; i + (kUnroll - 1) * stride < count; i += kUnroll * stride) {
      uint4 value[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) value[u] = __ldcg(from + i + u * stride);
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) sum = mix(sum, value[u]);
    }
    for (; i < count; i += stride) sum = mix(sum, __ldcg(from + i));
  }
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == never) *sink = sum;
}

struct Best {
  double rate = 0;
  int blocks = 0;
};

// The best of several grid sizes: blocks per multiprocessor.
template <typename Launch>
Best best(const cudaDeviceProp& device, double bytes, Launch launch) {
  Best found;
  for (int perMultiprocessor : {2, 4, 8, 16}) {
    const int blocks = device.multiProcessorCount * perMultiprocessor;
    const double rate = bytes / medianMs(nullptr, 3, 15, [&] { launch(blocks); }) / 1e6;
    if (rate > found.rate) found = {rate, blocks};
  }
  return found;
}

void memory(const cudaDeviceProp& device, uint4* a, uint4* b, size_t bytes) {
  const size_t count = bytes / sizeof(uint4);
  const std::string size = std::to_string(bytes >> 20) + " MiB";
  const auto report = [&](const char* name, double moved, auto launch) {
    const Best found = best(device, moved, launch);
    emit(name, found.rate, "GB/s", size + ", " + std::to_string(found.blocks) + " blocks");
  };
  const double n = static_cast<double>(bytes);
  report("read", n, [&](int blocks) { readKernel<<<blocks, kThreads>>>(a, count, 1u, b); });
  report("write", n, [&](int blocks) { writeKernel<<<blocks, kThreads>>>(b, count, 7u); });
  report("copy", 2 * n, [&](int blocks) { copyKernel<<<blocks, kThreads>>>(a, b, count); });
  const double ms = medianMs(nullptr, 3, 15, [&] { CHECK(cudaMemcpyAsync(b, a, bytes, cudaMemcpyDeviceToDevice)); });
  emit("copy by cudaMemcpy", 2 * n / ms / 1e6, "GB/s", size);
}

void cache(const cudaDeviceProp& device, uint4* a, uint4* b) {
  for (size_t mib : {4, 8, 16, 24, 32, 40, 48, 64, 96}) {
    const size_t bytes = mib << 20;
    const int passes = static_cast<int>(std::max<size_t>(4, 2048 / mib));
    const Best found = best(device, static_cast<double>(bytes) * passes, [&](int blocks) {
      cacheKernel<<<blocks, kThreads>>>(a, bytes / sizeof(uint4), passes, 1u, b);
    });
    emit("L2 read " + std::to_string(mib) + " MiB", found.rate, "GB/s", std::to_string(passes) + " passes");
  }
}

}  // namespace

int main() {
  const cudaDeviceProp device = properties();
  const size_t bytes = std::min<size_t>(size_t{4} << 30, device.totalGlobalMem / 8) & ~size_t{0xfffff};
  uint4 *a = nullptr, *b = nullptr;
  CHECK(cudaMalloc(&a, bytes));
  CHECK(cudaMalloc(&b, bytes));
  fill(a, bytes, 1);
  fill(b, bytes, 2);
  emit("multiprocessors", device.multiProcessorCount, "");
  emit("L2 size", device.l2CacheSize / 1048576.0, "MiB");
  memory(device, a, b, bytes);
  cache(device, a, b);
  return 0;
}
