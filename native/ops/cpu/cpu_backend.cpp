#include "ops/cpu/cpu_backend.h"

#include "core/cpu_features.h"
#include "core/error.h"

namespace ved::ops {

namespace cpu {

CpuBackend::CpuBackend(const KernelTable& kernels, int threads)
    : kernels_(&kernels), pool_(threads), scratch_(static_cast<size_t>(pool_.threads())) {}

}  // namespace cpu

namespace {

#if defined(__x86_64__) || defined(_M_X64)
// The base set with what this processor has beyond it. Constant once made.
const cpu::KernelTable* avx2Table(const CpuFeatures& features) {
  static const cpu::KernelTable table = [&] {
    cpu::KernelTable t = cpu::kKernelsAvx2;
    if (features.avxVnni) t.int8 = cpu::kInt8AvxVnni;
    return t;
  }();
  return features.avx2 ? &table : nullptr;
}

const cpu::KernelTable* avx512Table(const CpuFeatures& features) {
  static const cpu::KernelTable table = [&] {
    cpu::KernelTable t = cpu::kKernelsAvx512;
    if (features.avx512Bf16) t.bf16 = cpu::kBf16Avx512, t.attentionBf16 = cpu::kAttentionBf16Avx512;
    if (features.avx512Vnni) t.int8 = cpu::kInt8Avx512;
    return t;
  }();
  return features.avx512 ? &table : nullptr;
}
#endif

const cpu::KernelTable* tableOf(CpuIsa isa) {
  const CpuFeatures features = detectCpuFeatures();
  static_cast<void>(features);
  switch (isa) {
    case CpuIsa::Auto:
      return tableOf(bestCpuIsa());
    case CpuIsa::Scalar:
      return &cpu::kKernelsScalar;
#if defined(__x86_64__) || defined(_M_X64)
    case CpuIsa::Avx2:
      return avx2Table(features);
    case CpuIsa::Avx512:
      return avx512Table(features);
#elif defined(__aarch64__) || defined(_M_ARM64)
    case CpuIsa::Neon:
      return features.neon ? &cpu::kKernelsNeon : nullptr;
#endif
    default:
      return nullptr;
  }
}

}  // namespace

bool cpuIsaAvailable(CpuIsa isa) { return tableOf(isa) != nullptr; }

CpuIsa bestCpuIsa() {
  for (const CpuIsa isa : {CpuIsa::Avx512, CpuIsa::Avx2, CpuIsa::Neon})
    if (tableOf(isa)) return isa;
  return CpuIsa::Scalar;
}

const char* cpuIsaName(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::Auto:
      return "auto";
    case CpuIsa::Scalar:
      return "scalar";
    case CpuIsa::Avx2:
      return "avx2";
    case CpuIsa::Avx512:
      return "avx512";
    case CpuIsa::Neon:
      return "neon";
  }
  return "unknown";
}

std::unique_ptr<Backend> makeCpuBackend(CpuIsa isa, int threads) {
  const cpu::KernelTable* table = tableOf(isa);
  if (!table)
    throw Error(ErrorKind::Unsupported, "CPU_ISA_UNAVAILABLE",
                std::string("this processor or build has no ") + cpuIsaName(isa) + " kernels");
  return std::make_unique<cpu::CpuBackend>(*table, threads);
}

}  // namespace ved::ops
