// int8 by the 256-bit vpdpbusd of AVX512-VNNI, for the AVX2 kernels of such a processor.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#define VED_VNNI_EVEX 1
#include "ops/cpu/isa/int8_vnni256.inc.h"

namespace ved::ops::cpu {

const GemmKernels kInt8Avx512Vnni256 = makeGemm<DotInt8Quads>(packOperand<EncodeQuads>);

}  // namespace ved::ops::cpu
#endif
