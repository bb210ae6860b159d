#include "core/cpu_features.h"

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define VED_X86_64 1
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
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

namespace {
bool bit(uint32_t value, int index) { return (value >> index) & 1u; }
}  // namespace

void detectAmx(const AmxProbe& p, CpuFeatures& f) {
  constexpr uint64_t kTileStates = uint64_t{3} << 17;  // configuration and data
  const bool bf16 = bit(p.leaf7, 22), tiles = bit(p.leaf7, 24), int8 = bit(p.leaf7, 25);
  const bool saved = (p.savedStates & kTileStates) == kTileStates;
  const bool large = p.bytesPerRow >= 64 && p.tiles >= 8 && p.rows >= 16;
  const bool off = p.variable && std::strcmp(p.variable, "0") == 0;
  if (!tiles || !(bf16 || int8) || !saved || !large || off || !p.permitted()) return;
  f.amxBf16 = bf16, f.amxInt8 = int8;
}

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

// Linux saves 8 KiB of tiles only for processes that have asked for it; the answer holds for all threads. Other systems
// are not asked, so that AMX stays unused there.
bool tilesPermitted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
#else
  return false;
#endif
}

void probeAmx(CpuFeatures& f, uint32_t leaf7, uint64_t xcr0) {
  if (!f.avx512 || !bit(leaf7, 24) || cpuid(0).a < 0x1d) return;
  const Registers palette = cpuid(0x1d, 1);
  detectAmx({leaf7, xcr0, palette.b & 0xffff, palette.b >> 16, palette.c & 0xffff, std::getenv("VED_CPU_AMX"),
             tilesPermitted},
            f);
}

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
  probeAmx(f, seven.d, xcr0);
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
