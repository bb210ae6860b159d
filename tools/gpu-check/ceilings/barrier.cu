// What it costs to make all blocks, or the blocks of a cluster, wait for each other inside one kernel.
#include <cooperative_groups.h>

#include "common.cuh"

namespace {

namespace cg = cooperative_groups;
constexpr int kRounds = 2000;

__global__ void gridSyncKernel(int rounds) {
  cg::grid_group grid = cg::this_grid();
  for (int i = 0; i < rounds; ++i) grid.sync();
}

// One counter, counting up: a block arrives with release and waits with acquire until everyone of this round has.
__global__ void counterKernel(unsigned* counter, int rounds) {
  for (int i = 1; i <= rounds; ++i) {
    __syncthreads();
    if (threadIdx.x == 0) {
      const unsigned goal = static_cast<unsigned>(i) * gridDim.x;
      unsigned seen;
      asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
      do {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
      } while (seen < goal);
    }
    __syncthreads();
  }
}

__global__ void clusterKernel(int rounds) {
#if __CUDA_ARCH__ >= 900
  for (int i = 0; i < rounds; ++i) {
    asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
  }
#else
  (void)rounds;
#endif
}

// Each round a block hands 4 KiB to its neighbour's shared memory and waits for the cluster.
__global__ void exchangeKernel(int rounds, float* sink) {
#if __CUDA_ARCH__ >= 900
  __shared__ float4 inbox[256];
  cg::cluster_group cluster = cg::this_cluster();
  float4* theirs = cluster.map_shared_rank(inbox, (cluster.block_rank() + 1) % cluster.num_blocks());
  float4 value = make_float4(threadIdx.x, 1, 2, 3);
  cluster.sync();
  for (int i = 0; i < rounds; ++i) {
    theirs[threadIdx.x] = value;
    cluster.sync();
    value = inbox[threadIdx.x];
    cluster.sync();
  }
  if (value.x < 0) *sink = value.x;
#else
  (void)rounds;
  (void)sink;
#endif
}

template <typename... Parameters>
double perRoundUs(void (*kernel)(Parameters...), int blocks, int threads, void** arguments) {
  const double ms = medianMs(nullptr, 2, 9, [&] {
    CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)),
                                      dim3(static_cast<unsigned>(threads)), arguments, 0, nullptr));
  });
  return ms * 1e3 / kRounds;
}

void wholeGrid(const cudaDeviceProp& device) {
  int rounds = kRounds;
  unsigned* counter = nullptr;
  CHECK(cudaMalloc(&counter, sizeof(unsigned)));
  for (int threads : {128, 512, 1024}) {
    const std::string note = std::to_string(device.multiProcessorCount) + " blocks of " + std::to_string(threads);
    void* plain[] = {&rounds};
    emit("grid.sync, " + std::to_string(threads) + " threads",
         perRoundUs(gridSyncKernel, device.multiProcessorCount, threads, plain), "us", note);
    void* counted[] = {&counter, &rounds};
    const double ms = medianMs(nullptr, 2, 9, [&] {
      CHECK(cudaMemsetAsync(counter, 0, sizeof(unsigned)));
      CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(counterKernel),
                                        dim3(static_cast<unsigned>(device.multiProcessorCount)),
                                        dim3(static_cast<unsigned>(threads)), counted, 0, nullptr));
    });
    emit("counter barrier, " + std::to_string(threads) + " threads", ms * 1e3 / kRounds, "us", note);
  }
  CHECK(cudaFree(counter));
}

template <typename... Parameters, typename... Arguments>
double clusterUs(int size, int blocks, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = static_cast<unsigned>(size);
  attribute.val.clusterDim.y = 1;
  attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(256);
  config.attrs = &attribute;
  config.numAttrs = 1;
  const double ms = medianMs(
      nullptr, 2, 9, [&] { CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...)); });
  return ms * 1e3 / kRounds;
}

void clusters(const cudaDeviceProp& device) {
  float* sink = nullptr;
  CHECK(cudaMalloc(&sink, sizeof(float)));
  for (int size : {2, 4, 8}) {
    const int blocks = device.multiProcessorCount / size * size;
    const std::string note = std::to_string(blocks) + " blocks of 256 in clusters of " + std::to_string(size);
    emit("cluster barrier, " + std::to_string(size), clusterUs(size, blocks, clusterKernel, kRounds), "us", note);
    emit("cluster exchange, " + std::to_string(size), clusterUs(size, blocks, exchangeKernel, kRounds, sink), "us",
         note + "; 4 KiB a block, two barriers");
  }
  CHECK(cudaFree(sink));
}

}  // namespace

int main() {
  const cudaDeviceProp device = properties();
  if (!device.cooperativeLaunch) {
    std::fprintf(stderr, "the device has no cooperative launch\n");
    return 1;
  }
  wholeGrid(device);
  if (device.major >= 9) clusters(device);
  return 0;
}
