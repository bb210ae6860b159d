#include "ops/cpu/cpu_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cpu/blocks.h"

namespace ved::ops::cpu {

namespace {

AlignedFloats zeros(int64_t count) {
  AlignedFloats v(static_cast<size_t>(count));
  if (v.size()) std::memset(v.data(), 0, v.size() * sizeof(float));
  return v;
}

}  // namespace

CpuWeight::CpuWeight(const KernelTable& kernels, int64_t inSize, int64_t outSize, bool withBias, ComputeType kind)
    : kernels_(&kernels),
      gemm_(&kernels.gemm(kind)),
      units_(gemm_->units(inSize)),
      panelCount_(ceilDiv(outSize, kernels.panelWidth)) {
  in = inSize;
  out = outSize;
  hasBias = withBias;
  type = kind;
  panels_ = zeros(panelCount_ * panelUnits() + kPackSlack);
  bias_ = zeros(panelCount_ * kernels.panelWidth);
  if (type != ComputeType::Int8) return;
  scale_ = zeros(panelCount_ * kernels.panelWidth);
  offset_.assign(static_cast<size_t>(panelCount_ * kernels.panelWidth), 0);
  staged_.assign(static_cast<size_t>(in * out), 0.0f);
}

size_t CpuWeight::bytes() const {
  return (panels_.size() + bias_.size() + scale_.size() + offset_.size() + staged_.size()) * sizeof(float);
}

void CpuWeight::setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                         int64_t outStride, int64_t inStride) {
  if (type == ComputeType::Float32) return setFloat32(outBegin, outCount, inBegin, inCount, data, outStride, inStride);
  if (type == ComputeType::BFloat16) return setBf16(outBegin, outCount, inBegin, inCount, data, outStride, inStride);
  for (int64_t i = 0; i < outCount; ++i) {
    float* row = staged_.data() + (outBegin + i) * in + inBegin;
    for (int64_t k = 0; k < inCount; ++k) row[k] = data[i * outStride + k * inStride];
  }
}

// packRows overwrites neighbouring lanes, so it serves where a block fills all of a full panel, or as the first lanes.
void CpuWeight::packUnits(const uint32_t* rows, int64_t ld, int64_t lanes, int64_t units, float* to) const {
  const int64_t width = kernels_->panelWidth;
  if (lanes == width) return kernels_->packRows(reinterpret_cast<const float*>(rows), ld, lanes, units, to, width);
  auto* words = reinterpret_cast<uint32_t*>(to);
  for (int64_t u = 0; u < units; ++u)
    for (int64_t i = 0; i < lanes; ++i) words[u * width + i] = rows[i * ld + u];
}

void CpuWeight::setFloat32(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                           int64_t outStride, int64_t inStride) {
  const int64_t width = kernels_->panelWidth, outEnd = outBegin + outCount;
  for (int64_t n = outBegin; n < outEnd;) {
    const int64_t p = n / width, lane = n % width, lanes = std::min(width - lane, outEnd - n);
    float* to = panel(p) + inBegin * width + lane;
    const float* from = data + (n - outBegin) * outStride;
    if (inStride == 1 && lanes == width) {
      kernels_->packRows(from, outStride, lanes, inCount, to, width);
    } else if (outStride == 1) {
      for (int64_t k = 0; k < inCount; ++k)
        std::memcpy(to + k * width, from + k * inStride, static_cast<size_t>(lanes) * sizeof(float));
    } else {
      for (int64_t k = 0; k < inCount; ++k)
        for (int64_t i = 0; i < lanes; ++i) to[k * width + i] = from[i * outStride + k * inStride];
    }
    n += lanes;
  }
}

void CpuWeight::setBf16(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                        int64_t outStride, int64_t inStride) {
  const int64_t width = kernels_->panelWidth, outEnd = outBegin + outCount;
  std::vector<uint32_t> rows(static_cast<size_t>(width * (inCount / 2 + 1)));
  const int64_t ld = inCount / 2 + 1;
  for (int64_t n = outBegin; n < outEnd;) {
    const int64_t p = n / width, lane = n % width, lanes = std::min(width - lane, outEnd - n);
    const float* from = data + (n - outBegin) * outStride;
    if (inStride == 1 && inBegin % 2 == 0) {
      for (int64_t i = 0; i < lanes; ++i) kernels_->roundPairs(from + i * outStride, inCount, rows.data() + i * ld);
      packUnits(rows.data(), ld, lanes, ceilDiv(inCount, 2), panel(p) + inBegin / 2 * width + lane);
    } else {
      auto* halves = reinterpret_cast<uint16_t*>(panel(p));
      for (int64_t k = 0; k < inCount; ++k) {
        const int64_t at = (inBegin + k) / 2 * width + lane;
        for (int64_t i = 0; i < lanes; ++i)
          halves[2 * (at + i) + (inBegin + k) % 2] = bfloat16Bits(from[i * outStride + k * inStride]);
      }
    }
    n += lanes;
  }
}

void CpuWeight::readRow(int64_t n, float* row) const {
  const int64_t width = kernels_->panelWidth;
  const float* from = panel(n / width) + n % width;
  if (type == ComputeType::Float32) {
    for (int64_t k = 0; k < in; ++k) row[k] = from[k * width];
    return;
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  for (int64_t k = 0; k < in; ++k) row[k] = bfloat16ToFloat(halves[k / 2 * 2 * width + k % 2]);
}

void CpuWeight::setBias(int64_t outBegin, int64_t outCount, const float* data) {
  std::copy(data, data + outCount, bias_.data() + outBegin);
}

void CpuWeight::quantizeRow(const float* row, int64_t n, uint32_t* units) {
  float top = 0, probe = 0;
  for (int64_t k = 0; k < in; ++k) {
    top = std::max(top, std::fabs(row[k]));
    probe += row[k] * 0.0f;
  }
  const bool finite = probe == 0.0f;
  const float inverse = finite && top > 0 ? 127.0f / top : 0.0f;
  const bool usable = std::isfinite(inverse);
  scale_.data()[n] = finite ? (usable ? top / 127.0f : 0.0f) : std::numeric_limits<float>::quiet_NaN();
  std::fill(units, units + units_, 0u);
  int32_t sum = 0;
  for (int64_t k = 0; finite && usable && k < in; ++k) {
    const int32_t q = static_cast<int32_t>(std::nearbyint(row[k] * inverse));
    sum += q;
    units[k / 4] |= (static_cast<uint32_t>(q) & 0xffu) << (8 * (k % 4));
  }
  offset_[static_cast<size_t>(n)] = gemm_->zeroPoint * sum;
}

void CpuWeight::seal() {
  if (type != ComputeType::Int8) return;
  const int64_t width = kernels_->panelWidth;
  std::vector<uint32_t> rows(static_cast<size_t>(width * units_));
  for (int64_t p = 0; p < panelCount_; ++p) {
    const int64_t first = p * width, lanes = std::min(width, out - first);
    for (int64_t i = 0; i < lanes; ++i)
      quantizeRow(staged_.data() + (first + i) * in, first + i, rows.data() + i * units_);
    packUnits(rows.data(), units_, lanes, units_, panel(p));
  }
  staged_ = {};
}

}  // namespace ved::ops::cpu
