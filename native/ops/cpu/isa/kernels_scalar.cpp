#include "ops/cpu/kernel_table.h"

#include "ops/cpu/isa/vec_scalar.h"
// After the vector type they are written on.
#include "ops/cpu/isa/table.inc.h"

namespace ved::ops::cpu {

const KernelTable kKernelsScalar = makeTable("scalar");

}  // namespace ved::ops::cpu
