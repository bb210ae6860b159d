#include "ops/cpu/kernel_table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include "ops/cpu/isa/vec_avx2.h"
// After the vector type they are written on.
#include "ops/cpu/isa/table.inc.h"

namespace ved::ops::cpu {

const KernelTable kKernelsAvx2 = makeTable("avx2");

}  // namespace ved::ops::cpu
#endif
