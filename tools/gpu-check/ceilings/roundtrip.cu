// Host and device: how long the host waits for a kernel, how fast a word crosses, and the rates of copies.
#include <atomic>

#include "common.cuh"

namespace {

constexpr int kExchanges = 2000;

__global__ void emptyKernel() {}

__device__ uint64_t nanoseconds() {
  uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

// Answers each number the host writes. Gives up after two seconds, so that a lost host cannot hold the device.
__global__ void answerKernel(volatile unsigned* question, volatile unsigned* answer, unsigned last) {
  const uint64_t limit = nanoseconds() + 2000000000ull;
  for (unsigned i = 1; i <= last; ++i) {
    while (*question != i)
      if (nanoseconds() > limit) return;
    *answer = i;
    __threadfence_system();
  }
}

void waiting(cudaStream_t stream) {
  emit("launch and wait, stream",
       medianHostUs(50, 1000,
                    [&] {
                      emptyKernel<<<1, 32, 0, stream>>>();
                      CHECK(cudaStreamSynchronize(stream));
                    }),
       "us");
  cudaEvent_t event;
  CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  emit("launch and wait, polled event",
       medianHostUs(50, 1000,
                    [&] {
                      emptyKernel<<<1, 32, 0, stream>>>();
                      CHECK(cudaEventRecord(event, stream));
                      cudaError_t state;
                      while ((state = cudaEventQuery(event)) == cudaErrorNotReady) {
                      }
                      CHECK(state);
                    }),
       "us");
  CHECK(cudaEventDestroy(event));
}

void words(cudaStream_t stream) {
  unsigned* shared = nullptr;
  CHECK(cudaHostAlloc(&shared, 256, cudaHostAllocMapped));
  unsigned* mapped = nullptr;
  CHECK(cudaHostGetDevicePointer(&mapped, shared, 0));
  auto* question = reinterpret_cast<std::atomic<unsigned>*>(shared);
  auto* answer = reinterpret_cast<std::atomic<unsigned>*>(shared + 32);  // another cache line
  question->store(0);
  answer->store(0);
  answerKernel<<<1, 1, 0, stream>>>(mapped, mapped + 32, kExchanges);
  CHECK(cudaGetLastError());
  std::vector<double> times;
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (unsigned i = 1; i <= kExchanges; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    question->store(i, std::memory_order_release);
    while (answer->load(std::memory_order_acquire) != i)
      if (std::chrono::steady_clock::now() > limit) break;
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  CHECK(cudaStreamSynchronize(stream));
  if (answer->load() == kExchanges)
    emit("word to a running kernel and back", median(times), "us", "mapped host memory");
  else
    std::fprintf(stderr, "the running kernel did not answer all words\n");
  CHECK(cudaFreeHost(shared));
}

void copies(cudaStream_t stream) {
  constexpr size_t kBytes = size_t{256} << 20;
  void *device = nullptr, *pinned = nullptr;
  CHECK(cudaMalloc(&device, kBytes));
  CHECK(cudaHostAlloc(&pinned, kBytes, cudaHostAllocDefault));
  std::vector<char> pageable(kBytes, 1);
  const auto copy = [&](void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    CHECK(cudaMemcpyAsync(to, from, bytes, kind, stream));
    CHECK(cudaStreamSynchronize(stream));
  };
  const auto latency = [&](const char* name, void* to, const void* from, cudaMemcpyKind kind) {
    emit(name, medianHostUs(50, 500, [&] { copy(to, from, 4, kind); }), "us", "4 bytes, pinned, copy and wait");
  };
  const auto rate = [&](const char* name, void* to, const void* from, cudaMemcpyKind kind) {
    emit(name, kBytes / medianHostUs(2, 9, [&] { copy(to, from, kBytes, kind); }) / 1e3, "GB/s", "256 MiB");
  };
  latency("word to the device", device, pinned, cudaMemcpyHostToDevice);
  latency("word to the host", pinned, device, cudaMemcpyDeviceToHost);
  rate("to the device, pinned", device, pinned, cudaMemcpyHostToDevice);
  rate("to the host, pinned", pinned, device, cudaMemcpyDeviceToHost);
  rate("to the device, pageable", device, pageable.data(), cudaMemcpyHostToDevice);
  rate("to the host, pageable", pageable.data(), device, cudaMemcpyDeviceToHost);
  CHECK(cudaFree(device));
  CHECK(cudaFreeHost(pinned));
}

}  // namespace

int main() {
  cudaStream_t stream;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  waiting(stream);
  words(stream);
  copies(stream);
  return 0;
}
