// Instruction sets that both the processor and the operating system (saved registers) support.
#pragma once
#include <cstdint>

namespace ved {

struct CpuFeatures {
  bool avx2 = false;  // AVX2, FMA, F16C
  bool avxVnni = false;
  bool avx512 = false;  // F, BW, VL, DQ
  bool avx512Bf16 = false;
  bool avx512Vnni = false;
  bool amxBf16 = false, amxInt8 = false;  // with tiles and the system's permission to use them
  bool neon = false;
  bool neonDot = false;   // FEAT_DotProd
  bool neonBf16 = false;  // FEAT_BF16
};

CpuFeatures detectCpuFeatures();

// What decides about the tiles of AMX. Palette 1 as CPUID describes it.
struct AmxProbe {
  uint32_t leaf7;  // EDX
  uint64_t savedStates;
  uint32_t bytesPerRow, tiles, rows;
  const char* variable;  // VED_CPU_AMX; "0" switches AMX off
  bool (*permitted)();   // asks the system; called when nothing else speaks against
};
void detectAmx(const AmxProbe& probe, CpuFeatures& features);

}  // namespace ved
