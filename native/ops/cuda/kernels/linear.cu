// The linear op: picks the kernels of a type.
#include "ops/cuda/kernels/linear.cuh"

namespace ved::cuda {

Status linear(Context& c, const LinearJob& job) {
  const LinearCall& a = job.call;
  if (a.rows == 0) return kOk;
  if (a.weight.type != ComputeType::Float32) return linear16(c, job);
  linearF32(c, a);
  return launched(c, "linear");
}

Status round(Context& c, const ops::RoundArgs& a) {
  roundRows(c, a);
  return launched(c, "round");
}

Status packBlock(Context& c, const PackBlock& a) {
  if (a.outCount * a.inCount == 0) return kOk;
  a.weight.type == ComputeType::Float32 ? packF32(c, a) : pack16(c, a);
  return launched(c, "pack_weight");
}

}  // namespace ved::cuda
