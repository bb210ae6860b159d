#include "ops/cpu/cpu_backend.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "core/cpu_features.h"
#include "core/error.h"

namespace ved::ops {

namespace cpu {

CpuBackend::CpuBackend(const KernelTable& kernels, int threads)
    : kernels_(&kernels), pool_(threads), scratch_(static_cast<size_t>(pool_.threads())) {}

}  // namespace cpu

namespace {

constexpr CpuIsa kIsas[] = {CpuIsa::Avx512, CpuIsa::Avx2, CpuIsa::Neon, CpuIsa::Scalar};  // best first

// Without extensions. nullptr where the processor or the build lacks the set.
const cpu::KernelTable* baseTable(CpuIsa isa, const CpuFeatures& features) {
  static_cast<void>(features);
  if (isa == CpuIsa::Scalar) return &cpu::kKernelsScalar;
#if defined(__x86_64__) || defined(_M_X64)
  if (isa == CpuIsa::Avx2 && features.avx2) return &cpu::kKernelsAvx2;
  if (isa == CpuIsa::Avx512 && features.avx512) return &cpu::kKernelsAvx512;
#elif defined(__aarch64__) || defined(_M_ARM64)
  if (isa == CpuIsa::Neon && features.neon) return &cpu::kKernelsNeon;
#endif
  return nullptr;
}

// With what this processor has beyond the set.
cpu::KernelTable extended(cpu::KernelTable t, CpuIsa isa, const CpuFeatures& features) {
  static_cast<void>(isa), static_cast<void>(features);
#if defined(__x86_64__) || defined(_M_X64)
  if (isa == CpuIsa::Avx2 && features.avx512Vnni) t.int8 = cpu::kInt8Avx512Vnni256;
  if (isa == CpuIsa::Avx2 && features.avxVnni) t.int8 = cpu::kInt8AvxVnni;
  if (isa == CpuIsa::Avx512 && features.avx512Bf16)
    t.bf16 = cpu::kBf16Avx512, t.attentionBf16 = cpu::kAttentionBf16Avx512;
  if (isa == CpuIsa::Avx512 && features.avx512Vnni) t.int8 = cpu::kInt8Avx512;
#if defined(VED_AMX)
  if (isa == CpuIsa::Avx512 && features.amxBf16 && features.avx512Bf16) t.bf16 = cpu::kBf16Amx, t.name = "avx512+amx";
  if (isa == CpuIsa::Avx512 && features.amxInt8) t.int8 = cpu::kInt8Amx, t.name = "avx512+amx";
#endif
#elif defined(VED_NEON_EXTENSIONS)
  if (isa == CpuIsa::Neon && features.neonBf16) t.bf16 = cpu::kBf16Neon, t.attentionBf16 = cpu::kAttentionBf16Neon;
  if (isa == CpuIsa::Neon && features.neonDot) t.int8 = cpu::kInt8Neon;
#endif
  return t;
}

const cpu::KernelTable* tableOf(CpuIsa isa, CpuExtensions extensions) {
  if (isa == CpuIsa::Auto) isa = bestCpuIsa();
  if (extensions == CpuExtensions::None) return baseTable(isa, detectCpuFeatures());
  // Never destroyed: an engine's thread may still compute while the process exits.
  static const auto& tables = *[] {
    auto* all = new std::map<CpuIsa, cpu::KernelTable>;
    const CpuFeatures features = detectCpuFeatures();
    for (const CpuIsa each : kIsas)
      if (const cpu::KernelTable* base = baseTable(each, features)) all->emplace(each, extended(*base, each, features));
    return all;
  }();
  const auto found = tables.find(isa);
  return found == tables.end() ? nullptr : &found->second;
}

}  // namespace

bool cpuIsaAvailable(CpuIsa isa) { return isa == CpuIsa::Auto || baseTable(isa, detectCpuFeatures()) != nullptr; }

CpuIsa bestCpuIsa() { return *std::find_if(std::begin(kIsas), std::end(kIsas), cpuIsaAvailable); }

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

const char* cpuKernelsName(CpuIsa isa) {
  const cpu::KernelTable* table = tableOf(isa, CpuExtensions::Detected);
  return table ? table->name : cpuIsaName(isa);
}

std::unique_ptr<Backend> makeCpuBackend(CpuIsa isa, int threads, CpuExtensions extensions) {
  const cpu::KernelTable* table = tableOf(isa, extensions);
  if (!table)
    throw Error(ErrorKind::Unsupported, "CPU_ISA_UNAVAILABLE",
                std::string("this processor or build has no ") + cpuIsaName(isa) + " kernels");
  return std::make_unique<cpu::CpuBackend>(*table, threads);
}

}  // namespace ved::ops
