// Instruction sets that both the processor and the operating system (saved registers) support.
#pragma once

namespace ved {

struct CpuFeatures {
  bool avx2 = false;  // AVX2, FMA, F16C
  bool avxVnni = false;
  bool avx512 = false;  // F, BW, VL, DQ
  bool avx512Bf16 = false;
  bool avx512Vnni = false;
  bool neon = false;
  bool neonDot = false;   // FEAT_DotProd
  bool neonBf16 = false;  // FEAT_BF16
};

CpuFeatures detectCpuFeatures();

}  // namespace ved
