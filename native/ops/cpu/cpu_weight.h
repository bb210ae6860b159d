// A weight matrix as the CPU kernels read it: panels [ceil(out / NR)][units][NR] of 4-byte units; lanes behind the last
// output and k behind the last input are zero.
#pragma once
#include <vector>

#include "core/arena.h"
#include "ops/cpu/kernel_table.h"

namespace ved::ops::cpu {

class CpuWeight final : public LinearWeight {
 public:
  // The panels lie in the arena.
  CpuWeight(const KernelTable& kernels, Arena& arena, int64_t in, int64_t out, bool hasBias, ComputeType type);
  size_t bytes() const override;
  void setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                int64_t outStride, int64_t inStride) override;
  void setBias(int64_t outBegin, int64_t outCount, const float* data) override;
  void setMagnitudes(int64_t outBegin, int64_t outCount, const float* magnitudes) override;
  bool needsMagnitudes() const override { return hasInt8Weights(type); }
  void seal() override { magnitude_ = {}; }

  // W[n, :] as float32
  void readRow(int64_t n, float* row) const;
  const GemmKernels& gemm() const { return *gemm_; }
  int64_t units() const { return units_; }
  int64_t panelCount() const { return panelCount_; }
  int64_t panelUnits() const { return units_ * kernels_->panelWidth; }
  const float* panel(int64_t index) const { return panels_.data() + index * panelUnits(); }
  const float* bias() const { return bias_.data(); }
  // int8 only: sw and zeroPoint * sum of the integers, per output; nullptr otherwise
  const float* scale() const { return scale_.size() ? scale_.data() : nullptr; }
  const int32_t* offset() const { return offset_.empty() ? nullptr : offset_.data(); }

 private:
  float* panel(int64_t index) { return panels_.data() + index * panelUnits(); }
  void setFloat32(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                  int64_t outStride, int64_t inStride);
  void setBf16(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
               int64_t outStride, int64_t inStride);
  void setInt8(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
               int64_t outStride, int64_t inStride);
  void findMagnitudes(int64_t outBegin, int64_t outCount, const float* data, int64_t outStride, int64_t inStride);
  bool wholeUnits(int64_t inBegin, int64_t inCount) const;
  void packUnits(const uint32_t* rows, int64_t ld, int64_t lanes, int64_t units, float* to) const;

  const KernelTable* kernels_;
  const GemmKernels* gemm_;
  int64_t units_;
  int64_t panelCount_;
  ArenaFloats panels_;  // as 4-byte units
  AlignedFloats bias_, scale_;
  std::vector<int32_t> offset_;
  std::vector<float> magnitude_;  // int8 until it is sealed: largest |W[n, :]|, negative while unknown
};

}  // namespace ved::ops::cpu
