#include "ceilings.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include "core/cpu_features.h"

namespace ved::bench {

namespace {

#if defined(__x86_64__)
typedef float V16 __attribute__((vector_size(64)));
typedef float V8 __attribute__((vector_size(32)));

// Fourteen independent chains hide the latency. The compiler contracts a * b + c itself here.
#define VED_FMA_LOOP(name, V, isa)                                                                  \
  __attribute__((target(isa), optimize("fp-contract=fast"), noinline)) float name(int64_t rounds) { \
    V a[14], x = V{} + 0.999f, y = V{} + 1e-3f;                                                     \
    for (int i = 0; i < 14; ++i) a[i] = V{} + static_cast<float>(i);                                \
    for (int64_t r = 0; r < rounds; ++r) {                                                          \
      _Pragma("GCC unroll 14") for (int i = 0; i < 14; ++i) a[i] = a[i] * x + y;                    \
    }                                                                                               \
    float sum = 0;                                                                                  \
    for (int i = 0; i < 14; ++i) sum += a[i][0];                                                    \
    return sum;                                                                                     \
  }
VED_FMA_LOOP(fma16, V16, "avx512f,fma")
VED_FMA_LOOP(fma8, V8, "avx2,fma")

#define VED_DOT(i) VED_DOT_NAME " %%zmm15, %%zmm14, %%zmm" #i "\n"
#define VED_DOT_LOOP(name)                                                                                            \
  float name(int64_t rounds) {                                                                                        \
    __asm__ volatile("1:\n" VED_DOT(0) VED_DOT(1) VED_DOT(2) VED_DOT(3) VED_DOT(4) VED_DOT(5) VED_DOT(6) VED_DOT(7)   \
                         VED_DOT(8) VED_DOT(9) VED_DOT(10) VED_DOT(11) VED_DOT(12) VED_DOT(13) "dec %0\n jnz 1b\n"    \
                     : "+r"(rounds)                                                                                   \
                     :                                                                                                \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                                                  \
    return static_cast<float>(rounds);                                                                                \
  }
#define VED_DOT_NAME "vdpbf16ps"
VED_DOT_LOOP(bf16Dots)
#undef VED_DOT_NAME
#define VED_DOT_NAME "vpdpbusd"
VED_DOT_LOOP(int8Dots)
#endif

volatile float sink;
bool processorTime = false;

}  // namespace

void useProcessorTime(bool on) { processorTime = on; }

double seconds() {
#if defined(__unix__)
  timespec t;
  if (processorTime && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0)
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Ceilings::Ceilings(ops::CpuIsa isa, int threads) : isa_(isa), pool_(threads), data_(size_t{48} << 20) {
  std::fill(data_.data(), data_.data() + data_.size(), 1.0f);
}

double Ceilings::gflops(ComputeType type) {
#if defined(__x86_64__)
  constexpr int64_t kRounds = 20000;
  const bool wide = isa_ == ops::CpuIsa::Avx512;
  if (!wide && isa_ != ops::CpuIsa::Avx2) return 0;
  const CpuFeatures features = detectCpuFeatures();
  auto* loop = wide ? fma16 : fma8;
  int perLane = 1;
  if (type != ComputeType::Float32) {
    const bool bf16 = type == ComputeType::BFloat16;
    if (!wide || !(bf16 ? features.avx512Bf16 : features.avx512Vnni)) return 0;
    loop = bf16 ? bf16Dots : int8Dots;
    perLane = bf16 ? 2 : 4;
  }
  double best = 1e9;
  for (int i = 0; i < 40; ++i) {
    const double t = seconds();
    sink = loop(kRounds);
    best = std::min(best, seconds() - t);
  }
  return 2.0 * 14 * (wide ? 16 : 8) * perLane * kRounds / best * 1e-9 * pool_.threads();
#else
  return 0;
#endif
}

double Ceilings::gbytes() {
  const int64_t n = static_cast<int64_t>(data_.size());
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const int64_t parts = 8 * pool_.threads();
    std::vector<uint64_t> sums(static_cast<size_t>(parts));
    const double t = seconds();
    pool_.parallelFor(parts, [&](int64_t part, int) {
      const auto* p = reinterpret_cast<const uint64_t*>(data_.data() + ((n * part / parts) & ~int64_t{15}));
      const int64_t count = n / parts / 2;
      uint64_t s[8] = {};
      for (int64_t k = 0; k + 64 <= count; k += 64)
        for (int j = 0; j < 8; ++j) {
          __builtin_prefetch(p + k + 8 * j + 512);  // 4 KiB ahead, every line, as the kernels do
          s[j] += p[k + 8 * j];                     // one word of a line brings the whole line
        }
      for (uint64_t v : s) sums[static_cast<size_t>(part)] += v;
    });
    best = std::min(best, seconds() - t);
    for (uint64_t v : sums) sink = static_cast<float>(v & 1);
  }
  return static_cast<double>(4 * n) / best * 1e-9;
}

}  // namespace ved::bench
