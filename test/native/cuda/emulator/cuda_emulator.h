// A host stand-in for the CUDA subset that native/ops/cuda/kernels uses, so that every kernel is executed by the op
// cases on machines without a GPU. One fiber per CUDA thread; a fiber runs until it reaches a barrier or a warp-wide
// operation. It proves index logic, arithmetic, barriers and the order of asynchronous copies; it says nothing about
// speed, and it does not model weak memory ordering.
//   VED_EMU_ORDER=reverse  runs blocks, warps and lanes in the opposite order: results must not change
//   VED_EMU_PROTECT=1      host code that touches device memory faults, as it would with a device (slow)
//   VED_EMU_LAZY=1         work waits until somebody waits for it, as on a device that is far behind; =urgent, =beside:
//   that
//                          of streams of high or low priority alone, so that each runs as far ahead of the other as it
//                          may
//   VED_EMU_DEAF=host|stream  the host does not wait for streams of low priority, or those do not wait for others: what
//                          depends on these waits must go wrong
//   VED_EMU_MEMORY=BYTES   size of the device's memory
//   VED_EMU_FAIL=no-driver|old-driver|no-device|old-gpu|no-memory  what a machine may answer
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned xs = 1, unsigned ys = 1, unsigned zs = 1) : x(xs), y(ys), z(zs) {}
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// Runtime API: the calls of library.cu, with the values of the real enumerations.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDisableTiming = 2;
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, l2CacheSize;
};
struct cudaFuncAttributes {
  int binaryVersion;
};
namespace ved::emu {
struct Stream;
struct Graph;
struct Event;
}  // namespace ved::emu
using cudaStream_t = ved::emu::Stream*;
using cudaEvent_t = ved::emu::Event*;
using cudaGraph_t = ved::emu::Graph*;
using cudaGraphExec_t = ved::emu::Graph*;
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device);
cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMallocHost(void** pointer, size_t bytes);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemGetInfo(size_t* available, size_t* total);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
namespace ved::emu {
// Dynamic shared memory beyond 48 KB has to be asked for, kernel by kernel.
cudaError_t allowShared(const void* kernel, int bytes);
void checkShared(const void* kernel, size_t bytes);
}  // namespace ved::emu
template <class F>
cudaError_t cudaFuncSetAttribute(F* kernel, cudaFuncAttribute, int bytes) {
  return ved::emu::allowShared(reinterpret_cast<const void*>(kernel), bytes);
}
template <class F>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, F*) {
  attributes->binaryVersion = 90;
  return cudaSuccess;
}

namespace ved::emu {

struct Index {
  unsigned x, y, z;
};

// What the running fiber sees.
struct Place {
  Index threadIndex, blockIndex;
  dim3 blockSize, gridSize;
};
const Place& place();
unsigned char* sharedMemory();
void blockBarrier();
void warpBarrier(unsigned mask);
unsigned laneId();
// One word per lane, exchanged across the warp: every lane of `mask` gets a pointer to the 32 words.
const uint64_t* exchange(unsigned mask, uint64_t word);
// All lanes hand in `bytes` (at most 64) and see everybody's: stride 64.
const unsigned char* exchangeBytes(const void* data, size_t bytes);
void copyAsync(void* to, const void* from, unsigned bytes, unsigned valid);
void commitAsync();
void waitAsync(unsigned pending);
// Finds a host address among a kernel's arguments: on a device it would fault.
void checkWords(const void* argument, size_t bytes, bool isPointer);
template <class T>
void checkArgument(T argument) {
#if defined(__GNUC__) && !defined(__clang__)
  if constexpr (std::is_class_v<T>) __builtin_clear_padding(&argument);
#endif
  checkWords(&argument, sizeof argument, std::is_pointer_v<T>);
}
void launch(dim3 grid, dim3 block, size_t shared, cudaStream_t stream, std::function<void()> body);
// Work of another library on a stream: it may touch device memory while it runs.
__attribute__((visibility("default"))) void enqueue(cudaStream_t stream, std::function<void()> work);

template <class T>
T shuffle(unsigned mask, T value, unsigned source) {
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = exchange(mask, word)[source & 31];
  std::memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace ved::emu

#define threadIdx (::ved::emu::place().threadIndex)
#define blockIdx (::ved::emu::place().blockIndex)
#define blockDim (::ved::emu::place().blockSize)
#define gridDim (::ved::emu::place().gridSize)

inline void __syncthreads() { ved::emu::blockBarrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { ved::emu::warpBarrier(mask); }
template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
  return ved::emu::shuffle(mask, value, static_cast<unsigned>(source));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  return ved::emu::shuffle(mask, value, ved::emu::laneId() ^ static_cast<unsigned>(bits));
}
// Fibers change places at barriers only, so that nothing can come in between.
template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
T atomicOr(T* at, T value) {
  const T old = *at;
  *at = old | value;
  return old;
}
inline float __ldg(const float* p) { return *p; }
