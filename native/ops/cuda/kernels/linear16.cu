#include "ops/cuda/kernels/linear.cuh"
namespace ved::cuda {
Status linear16(Context& c, const LinearCall&) {
  c.error = "16-bit";
  return kFailed;
}
void pack16(Context&, const PackBlock&) {}
}  // namespace ved::cuda
