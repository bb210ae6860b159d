// Shared by the ceiling programs: error checks, timing, and one JSON line per measurement.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

inline void check(cudaError_t code, const char* what, int line) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "line %d: %s: %s\n", line, what, cudaGetErrorString(code));
  std::exit(1);
}
#define CHECK(call) check((call), #call, __LINE__)

inline void emit(const std::string& name, double value, const char* unit, const std::string& note = "") {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"note\": \"%s\"}\n", name.c_str(), value, unit,
              note.c_str());
  std::fflush(stdout);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

// Median time of one run of `body` on `stream`, in milliseconds, by device events.
template <typename Body>
double medianMs(cudaStream_t stream, int warmup, int repeats, Body body) {
  for (int i = 0; i < warmup; ++i) body();
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    CHECK(cudaEventRecord(begin, stream));
    body();
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaEventSynchronize(end));
    float ms = 0;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    times.push_back(ms);
  }
  CHECK(cudaGetLastError());
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  return median(times);
}

// The same by the host's clock, for what the host waits for.
template <typename Body>
double medianHostUs(int warmup, int repeats, Body body) {
  for (int i = 0; i < warmup; ++i) body();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  return median(times);
}

// Random bits: zeros move and multiply faster than data does.
__global__ void fillKernel(uint32_t* data, size_t words, uint32_t seed, uint32_t keep, uint32_t set) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < words; i += stride) {
    uint32_t x = static_cast<uint32_t>(i) * 2654435761u ^ seed ^ static_cast<uint32_t>(i >> 32) * 40503u;
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    x ^= x >> 16;
    data[i] = (x & keep) | set;
  }
}

// `keep` masks the random bits and `set` adds to them, which gives floats a sign, a mantissa and a narrow range of exponents.
inline void fill(void* data, size_t bytes, uint32_t seed, uint32_t keep = 0xffffffffu, uint32_t set = 0) {
  fillKernel<<<1024, 256>>>(static_cast<uint32_t*>(data), bytes / 4, seed, keep, set);
  CHECK(cudaGetLastError());
  CHECK(cudaDeviceSynchronize());
}

inline cudaDeviceProp properties() {
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));
  return device;
}
