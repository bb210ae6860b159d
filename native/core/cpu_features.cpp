#include "core/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#define VED_X86_64 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace ved {

#if defined(VED_X86_64)
namespace {

struct Registers {
  uint32_t a, b, c, d;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
#if defined(_MSC_VER)
  int r[4];
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<uint32_t>(r[0]), static_cast<uint32_t>(r[1]), static_cast<uint32_t>(r[2]),
          static_cast<uint32_t>(r[3])};
#else
  Registers r{0, 0, 0, 0};
  __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
  return r;
#endif
}

uint64_t xgetbv0() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

bool bit(uint32_t value, int index) { return (value >> index) & 1u; }

}  // namespace

CpuFeatures detectCpuFeatures() {
  CpuFeatures f;
  if (cpuid(0).a < 7) return f;
  const Registers one = cpuid(1);
  const bool osxsave = bit(one.c, 27), fma = bit(one.c, 12), avx = bit(one.c, 28), f16c = bit(one.c, 29);
  if (!osxsave || !avx) return f;
  const uint64_t xcr0 = xgetbv0();
  const bool ymmSaved = (xcr0 & 0x6) == 0x6, zmmSaved = (xcr0 & 0xE6) == 0xE6;
  const Registers seven = cpuid(7);
  f.avx2 = ymmSaved && fma && f16c && bit(seven.b, 5);
  const bool f512 = bit(seven.b, 16), dq = bit(seven.b, 17), bw = bit(seven.b, 30), vl = bit(seven.b, 31);
  f.avx512 = f.avx2 && zmmSaved && f512 && dq && bw && vl;
  const Registers sevenOne = seven.a >= 1 ? cpuid(7, 1) : Registers{0, 0, 0, 0};
  f.avxVnni = f.avx2 && bit(sevenOne.a, 4);
  f.avx512Bf16 = f.avx512 && bit(sevenOne.a, 5);
  f.avx512Vnni = f.avx512 && bit(seven.c, 11);
  return f;
}
#elif defined(__aarch64__) || defined(_M_ARM64)
namespace {

#if defined(__APPLE__)
bool has(const char* feature) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

}  // namespace

CpuFeatures detectCpuFeatures() {
  CpuFeatures f;
  f.neon = true;  // part of the base architecture
#if defined(__APPLE__)
  f.neonDot = has("hw.optional.arm.FEAT_DotProd");
  f.neonBf16 = has("hw.optional.arm.FEAT_BF16");
#elif defined(__linux__)
  constexpr unsigned long kDotProd = 1ul << 20, kBf16 = 1ul << 14;  // HWCAP_ASIMDDP; HWCAP2_BF16
  f.neonDot = (getauxval(AT_HWCAP) & kDotProd) != 0;
  f.neonBf16 = (getauxval(AT_HWCAP2) & kBf16) != 0;
#endif
  return f;
}
#else
CpuFeatures detectCpuFeatures() { return {}; }
#endif

}  // namespace ved
