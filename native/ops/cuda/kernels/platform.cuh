// What kernels need beyond CUDA C++: launches, shared memory, warp reductions, 16-bit numbers, asynchronous copies and
// matrix fragments, behind names that the host emulator implements as well.
#pragma once
#include <cstdint>

#include "core/compute_type.h"

#if defined(VED_CUDA_EMULATOR)
#include "cuda_emulator.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

namespace ved::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

#if defined(VED_CUDA_EMULATOR)
template <class T>
T* sharedMemory() {
  return reinterpret_cast<T*>(emu::sharedMemory());
}
template <class... P, class... A>
void launchKernel(cudaStream_t stream, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... args) {
  (emu::checkArgument(args), ...);
  emu::checkShared(reinterpret_cast<const void*>(kernel), shared);
  emu::launch(grid, block, shared, stream, [=] { kernel(args...); });
}
#else
template <class T>
__device__ __forceinline__ T* sharedMemory() {
  extern __shared__ __align__(16) unsigned char sharedBytes[];
  return reinterpret_cast<T*>(sharedBytes);
}
template <class... P, class... A>
void launchKernel(cudaStream_t stream, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...);
}
#endif

__device__ __forceinline__ int laneIndex() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ __forceinline__ int warpIndex() { return static_cast<int>(threadIdx.x) / kWarp; }

// Butterfly reductions: the order of the sum is the same on every lane and in every launch.
__device__ __forceinline__ float warpSum(float v) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) v += __shfl_xor_sync(kAllLanes, v, bit);
  return v;
}
__device__ __forceinline__ float warpMax(float v) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, bit));
  return v;
}

constexpr float kMinusInfinity = -__builtin_huge_valf();

// 16-bit operands are moved as raw bits; conversion rounds to nearest even, and half saturates instead of becoming
// infinite (an infinite operand would make NaN of every product with zero).
#if defined(VED_CUDA_EMULATOR)
inline float bitsToFloat(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline uint32_t floatToBits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
#endif

struct Half {
  using Element = uint16_t;
  __device__ static __forceinline__ float toFloat(uint16_t bits) {
#if defined(VED_CUDA_EMULATOR)
    _Float16 h;
    std::memcpy(&h, &bits, 2);
    return static_cast<float>(h);
#else
    return __half2float(__ushort_as_half(bits));
#endif
  }
  __device__ static __forceinline__ uint16_t fromFloat(float f) {
    const float limited = f > 65504.0f ? 65504.0f : f < -65504.0f ? -65504.0f : f;  // NaN stays NaN
#if defined(VED_CUDA_EMULATOR)
    const _Float16 h = static_cast<_Float16>(limited);
    uint16_t bits;
    std::memcpy(&bits, &h, 2);
    return bits;
#else
    return __half_as_ushort(__float2half_rn(limited));
#endif
  }
};

struct Single {
  using Element = float;
  __device__ static __forceinline__ float toFloat(float f) { return f; }
};

struct Brain {
  using Element = uint16_t;
  __device__ static __forceinline__ float toFloat(uint16_t bits) {
#if defined(VED_CUDA_EMULATOR)
    return bitsToFloat(static_cast<uint32_t>(bits) << 16);
#else
    return __uint_as_float(static_cast<uint32_t>(bits) << 16);
#endif
  }
  __device__ static __forceinline__ uint16_t fromFloat(float f) {
#if defined(VED_CUDA_EMULATOR)
    const uint32_t bits = floatToBits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
#else
    return __bfloat16_as_ushort(__float2bfloat16_rn(f));
#endif
  }
};

// Two values side by side, the first in the low half, as fragments hold them.
template <class T>
__device__ __forceinline__ uint32_t pack2(float low, float high) {
  return static_cast<uint32_t>(T::fromFloat(low)) | static_cast<uint32_t>(T::fromFloat(high)) << 16;
}
#if !defined(VED_CUDA_EMULATOR)
template <>
__device__ __forceinline__ uint32_t pack2<Brain>(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&both);
}
#endif

// An element of a matrix that may lie in 16 bits. The branch is the same for all threads.
__device__ __forceinline__ float loadElement(const void* data, Element element, int64_t index) {
  if (element == Element::Float32) return static_cast<const float*>(data)[index];
  const uint16_t bits = static_cast<const uint16_t*>(data)[index];
  return element == Element::BFloat16 ? Brain::toFloat(bits) : Half::toFloat(bits);
}
__device__ __forceinline__ void storeElement(void* data, Element element, int64_t index, float value) {
  if (element == Element::Float32)
    static_cast<float*>(data)[index] = value;
  else
    static_cast<uint16_t*>(data)[index] =
        element == Element::BFloat16 ? Brain::fromFloat(value) : Half::fromFloat(value);
}

}  // namespace ved::cuda
