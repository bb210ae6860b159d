// int8 by the 256-bit vpdpbusd of AVX-VNNI, on processors without AVX-512.
#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/int8_vnni256.inc.h"

namespace ved::ops::cpu {

const GemmKernels kInt8AvxVnni = makeGemm<DotInt8Quads>(packOperand<EncodeQuads>);

}  // namespace ved::ops::cpu
#endif
