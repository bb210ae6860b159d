#include "ops/cpu/kernel_table.h"
#if defined(__aarch64__) || defined(_M_ARM64)
#include "ops/cpu/isa/vec_neon.h"
// After the vector type they are written on.
#include "ops/cpu/isa/table.inc.h"

namespace ved::ops::cpu {

const KernelTable kKernelsNeon = makeTable("neon");

}  // namespace ved::ops::cpu
#endif
