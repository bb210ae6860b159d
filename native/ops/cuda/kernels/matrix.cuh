// Asynchronous copies to shared memory and tensor core fragments (PTX ISA: cp.async, ldmatrix, mma.m16n8k16), with the
// documented layouts spelled out for the emulator.
#pragma once
#include <type_traits>

#include "ops/cuda/kernels/platform.cuh"

namespace ved::cuda {

#if defined(VED_CUDA_EMULATOR)

inline void copyAsync16(void* to, const void* from, int valid) {
  emu::copyAsync(to, from, 16, static_cast<unsigned>(valid));
}
inline void commitAsync() { emu::commitAsync(); }
template <int kPending>
void waitAsync() {
  emu::waitAsync(kPending);
}

// Lane i names row i % 8 of matrix i / 8; it gets elements 2 (i % 4) and 2 (i % 4) + 1 of row i / 4 of each matrix.
inline void loadMatrix4(uint32_t (&out)[4], const void* row) {
  unsigned char own[16];
  std::memcpy(own, row, 16);
  const unsigned char* rows = emu::exchangeBytes(own, 16);
  const unsigned lane = emu::laneId();
  for (unsigned m = 0; m < 4; ++m) std::memcpy(&out[m], rows + (m * 8 + lane / 4) * 64 + lane % 4 * 4, 4);
}

// The same with rows and columns of each matrix exchanged.
inline void loadMatrix4Transposed(uint32_t (&out)[4], const void* row) {
  unsigned char own[16];
  std::memcpy(own, row, 16);
  const unsigned char* rows = emu::exchangeBytes(own, 16);
  const unsigned lane = emu::laneId();
  for (unsigned m = 0; m < 4; ++m) {
    uint16_t pair[2];
    for (unsigned e = 0; e < 2; ++e) std::memcpy(&pair[e], rows + (m * 8 + lane % 4 * 2 + e) * 64 + lane / 4 * 2, 2);
    std::memcpy(&out[m], pair, 4);
  }
}

// c[16 x 8] += a[16 x 16] b[16 x 8]
template <class T>
void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t* b) {
  const uint32_t own[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const unsigned char* all = emu::exchangeBytes(own, sizeof own);
  const auto half = [&](unsigned lane, unsigned word, unsigned high) {
    uint32_t bits;
    std::memcpy(&bits, all + lane * 64 + word * 4, 4);
    return T::toFloat(static_cast<uint16_t>(high ? bits >> 16 : bits));
  };
  const unsigned lane = emu::laneId();
  for (unsigned e = 0; e < 4; ++e) {
    const unsigned row = lane / 4 + e / 2 * 8, col = lane % 4 * 2 + e % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const float x = half(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k % 2);
      c[e] += x * half(col * 4 + k % 8 / 2, 4 + k / 8, k % 2);
    }
  }
}

#else

// Copies `valid` bytes and fills up to 16 with zeros.
__device__ __forceinline__ void copyAsync16(void* to, const void* from, int valid) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(from), "r"(valid));
}
__device__ __forceinline__ void commitAsync() { asm volatile("cp.async.commit_group;\n" ::); }
template <int kPending>
__device__ __forceinline__ void waitAsync() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ void loadMatrix4(uint32_t (&out)[4], const void* row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

__device__ __forceinline__ void loadMatrix4Transposed(uint32_t (&out)[4], const void* row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

template <class T>
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t* b) {
  if constexpr (std::is_same_v<T, Brain>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

}  // namespace ved::cuda
