// What a kernel launch costs: for the host, on a stream, as a node of a graph, with programmatic dependent launch
// (sm_90 and newer), and for a chain of stages that each stream weights, the shape of a decode step at one row.
#include "common.cuh"

namespace {

constexpr int kNodes = 100;
constexpr int kThreads = 256;
constexpr int kLoads = 8;  // 16-byte loads per thread: 32 KiB per block and stage

__global__ void emptyKernel(int* value) {
  if (value && threadIdx.x == 4096) *value = 1;
}

__device__ void waitForPredecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ void letSuccessorStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__global__ void dependentKernel(int* value) {
  letSuccessorStart();
  waitForPredecessor();
  if (value && threadIdx.x == 4096) *value = 1;
}

// out[block] = weights[block] · in. Loads before the wait overlap with the predecessor: weights depend on nothing.
template <bool Early>
__global__ void __launch_bounds__(kThreads) stageKernel(const float4* weights, const float* in, float* out) {
  letSuccessorStart();
  if (!Early) waitForPredecessor();
  const float4* own = weights + static_cast<size_t>(blockIdx.x) * kThreads * kLoads + threadIdx.x;
  float4 w[kLoads];
#pragma unroll
  for (int i = 0; i < kLoads; ++i) w[i] = __ldcs(own + i * kThreads);
  if (Early) waitForPredecessor();
  const float x = in[threadIdx.x % gridDim.x];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kLoads; ++i) sum += x * (w[i].x + w[i].y + w[i].z + w[i].w);
  __shared__ float partial[kThreads / 32];
  for (int offset = 16; offset; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    float total = 0;
    for (float value : partial) total += value;
    out[blockIdx.x] = total * 1e-3f;
  }
}

struct Launcher {
  cudaStream_t stream;
  bool programmatic;
  int blocks;

  template <typename... Parameters, typename... Arguments>
  void operator()(void (*kernel)(Parameters...), Arguments... arguments) const {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = programmatic ? 1 : 0;
    CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
  }
};

template <typename Body>
cudaGraphExec_t capture(cudaStream_t stream, Body body) {
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  body();
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CHECK(cudaGraphDestroy(graph));
  return executable;
}

void onStream(cudaStream_t stream) {
  const Launcher launch{stream, false, 1};
  const auto chain = [&] {
    for (int i = 0; i < kNodes; ++i) launch(emptyKernel, nullptr);
  };
  emit("kernel on a stream, device time", medianMs(stream, 5, 30, chain) * 1e3 / kNodes, "us", "chain of 100");
  std::vector<double> times;
  for (int round = 0; round < 30; ++round) {
    times.push_back(medianHostUs(0, 1, chain) / kNodes);
    CHECK(cudaStreamSynchronize(stream));
  }
  emit("kernel on a stream, host time", median(times), "us", "asynchronous launch");
}

template <typename Body>
void asGraph(const std::string& name, cudaStream_t stream, int nodes, Body body) {
  cudaGraphExec_t graph = capture(stream, body);
  const auto replay = [&] { CHECK(cudaGraphLaunch(graph, stream)); };
  emit(name + ", device time per node", medianMs(stream, 5, 50, replay) * 1e3 / nodes, "us",
       std::to_string(nodes) + " nodes");
  std::vector<double> times;
  for (int round = 0; round < 30; ++round) {
    times.push_back(medianHostUs(0, 1, replay));
    CHECK(cudaStreamSynchronize(stream));
  }
  emit(name + ", host time per replay", median(times), "us", std::to_string(nodes) + " nodes");
  CHECK(cudaGraphExecDestroy(graph));
}

void graphs(cudaStream_t stream, bool programmatic) {
  for (int nodes : {1, kNodes, 400}) {
    asGraph("graph of empty kernels, " + std::to_string(nodes), stream, nodes, [&] {
      const Launcher launch{stream, false, 1};
      for (int i = 0; i < nodes; ++i) launch(emptyKernel, nullptr);
    });
  }
  if (!programmatic) return;
  asGraph("graph of empty kernels, programmatic", stream, kNodes, [&] {
    const Launcher launch{stream, true, 1};
    for (int i = 0; i < kNodes; ++i) launch(dependentKernel, nullptr);
  });
}

// The weights of all stages together exceed L2, so each stage reads from device memory.
void stages(cudaStream_t stream, int blocks, bool programmatic) {
  const size_t perStage = static_cast<size_t>(blocks) * kThreads * kLoads;
  float4* weights = nullptr;
  float* values = nullptr;
  CHECK(cudaMalloc(&weights, perStage * kNodes * sizeof(float4)));
  CHECK(cudaMalloc(&values, 2 * static_cast<size_t>(blocks) * sizeof(float)));
  fill(weights, perStage * kNodes * sizeof(float4), 3, 0x81ffffffu, 0x3e000000u);
  fill(values, 2 * static_cast<size_t>(blocks) * sizeof(float), 4, 0x81ffffffu, 0x3e000000u);
  const auto chain = [&](const Launcher& launch, auto kernel) {
    for (int i = 0; i < kNodes; ++i)
      launch(kernel, weights + perStage * i, values + (i % 2) * blocks, values + (1 - i % 2) * blocks);
  };
  emit("stage bytes", static_cast<double>(perStage * sizeof(float4)), "B", std::to_string(blocks) + " blocks");
  asGraph("stage that streams weights", stream, kNodes, [&] {
    chain(Launcher{stream, false, blocks}, stageKernel<false>);
  });
  if (programmatic) {
    asGraph("stage, programmatic", stream, kNodes, [&] { chain(Launcher{stream, true, blocks}, stageKernel<false>); });
    asGraph("stage, programmatic, weights before the wait", stream, kNodes, [&] {
      chain(Launcher{stream, true, blocks}, stageKernel<true>);
    });
  }
  CHECK(cudaFree(weights));
  CHECK(cudaFree(values));
}

}  // namespace

int main() {
  const cudaDeviceProp device = properties();
  const bool programmatic = device.major >= 9;
  cudaStream_t stream;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  onStream(stream);
  graphs(stream, programmatic);
  for (int perMultiprocessor : {1, 2}) stages(stream, device.multiProcessorCount * perMultiprocessor, programmatic);
  return 0;
}
