// The backend that an AMX processor would get, on emulated tiles.
#include "core/cpu_features.h"
#include "op_support.h"
#include "ops/cpu/cpu_backend.h"

#if defined(VED_AMX_EMULATOR)
namespace ved::ops::cpu {
extern const GemmKernels kBf16Emulated, kInt8Emulated;
}

namespace ved::test {
namespace {

const ops::cpu::KernelTable& table() {
  static const ops::cpu::KernelTable made = [] {
    ops::cpu::KernelTable t = ops::cpu::kKernelsAvx512;
    t.name = "avx512+amx (emulated)";
    t.bf16 = ops::cpu::kBf16Emulated, t.int8 = ops::cpu::kInt8Emulated;
    t.attentionBf16 = ops::cpu::kAttentionBf16Avx512;
    return t;
  }();
  return made;
}

}  // namespace

const Target* amxTarget() {
  static const Target target{table().name,
                             [](int threads) -> std::unique_ptr<ops::Backend> {
                               return std::make_unique<ops::cpu::CpuBackend>(table(), threads);
                             },
                             {ComputeType::BFloat16, ComputeType::Int8, ComputeType::Int8Fine}};
  const CpuFeatures features = detectCpuFeatures();
  return features.avx512 && features.avx512Bf16 ? &target : nullptr;
}

}  // namespace ved::test
#else
namespace ved::test {
const Target* amxTarget() { return nullptr; }
}  // namespace ved::test
#endif
