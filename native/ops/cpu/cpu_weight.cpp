#include "ops/cpu/cpu_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "ops/cpu/blocks.h"

namespace ved::ops::cpu {

namespace {

AlignedFloats zeros(int64_t count) {
  AlignedFloats v(static_cast<size_t>(count));
  if (v.size()) std::memset(v.data(), 0, v.size() * sizeof(float));
  return v;
}

constexpr float kUnknown = -1;

// Of the largest magnitude: 0 where a scale cannot be had, so that all integers are 0.
float inverseScale(float magnitude) {
  const float inverse = magnitude > 0 ? 127.0f / magnitude : 0.0f;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

}  // namespace

CpuWeight::CpuWeight(const KernelTable& kernels, Arena& arena, int64_t inSize, int64_t outSize, bool withBias,
                     ComputeType kind)
    : kernels_(&kernels),
      gemm_(&kernels.gemm(kind)),
      units_(gemm_->units(inSize)),
      panelCount_(ceilDiv(outSize, kernels.panelWidth)) {
  in = inSize;
  out = outSize;
  hasBias = withBias;
  type = kind;
  // Panels are first touched by the thread that packs them. Only what no block covers is written here.
  panels_ = arena.take(static_cast<size_t>(panelCount_ * panelUnits() + kPackSlack));
  const int64_t width = kernels.panelWidth, padded = panelCount_ * width;
  if (out % width) std::memset(panel(panelCount_ - 1), 0, static_cast<size_t>(panelUnits()) * sizeof(float));
  if (in % gemm_->unit)
    for (int64_t p = 0; p < panelCount_; ++p)
      std::memset(panel(p) + (units_ - 1) * width, 0, static_cast<size_t>(width) * sizeof(float));
  std::memset(panels_.data() + panelCount_ * panelUnits(), 0, kPackSlack * sizeof(float));
  bias_ = zeros(padded);
  if (!hasInt8Weights(type)) return;
  scale_ = zeros(padded);
  offset_.assign(static_cast<size_t>(padded), 0);
  magnitude_.assign(static_cast<size_t>(padded), kUnknown);
}

size_t CpuWeight::bytes() const {
  return (panels_.size() + bias_.size() + scale_.size() + offset_.size() + magnitude_.size()) * sizeof(float);
}

void CpuWeight::setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                         int64_t outStride, int64_t inStride) {
  if (type == ComputeType::Float32) return setFloat32(outBegin, outCount, inBegin, inCount, data, outStride, inStride);
  if (type == ComputeType::BFloat16) return setBf16(outBegin, outCount, inBegin, inCount, data, outStride, inStride);
  if (inCount == in) findMagnitudes(outBegin, outCount, data, outStride, inStride);
  setInt8(outBegin, outCount, inBegin, inCount, data, outStride, inStride);
}

bool CpuWeight::wholeUnits(int64_t inBegin, int64_t inCount) const {
  const int64_t unit = gemm_->unit;
  return inBegin % unit == 0 && (inCount % unit == 0 || inBegin + inCount == in);
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
  const int64_t width = kernels_->panelWidth, outEnd = outBegin + outCount, ld = inCount / 2 + 1;
  const bool whole = wholeUnits(inBegin, inCount);
  std::vector<uint32_t> rows(static_cast<size_t>(inStride == 1 ? width * ld : 0));
  for (int64_t n = outBegin; n < outEnd;) {
    const int64_t p = n / width, lane = n % width, lanes = std::min(width - lane, outEnd - n);
    const float* from = data + (n - outBegin) * outStride;
    float* to = panel(p) + inBegin / 2 * width + lane;
    if (inStride == 1 && whole) {
      for (int64_t i = 0; i < lanes; ++i)
        kernels_->weights.roundPairs(from + i * outStride, inCount, rows.data() + i * ld);
      packUnits(rows.data(), ld, lanes, ceilDiv(inCount, 2), to);
    } else if (outStride == 1 && whole) {
      kernels_->weights.pairColumns(from, inStride, inCount, lanes, reinterpret_cast<uint32_t*>(to), width);
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
  if (hasInt8Weights(type)) {
    const auto* integers = reinterpret_cast<const int8_t*>(from);
    const float scale = scale_.data()[n];
    for (int64_t k = 0; k < in; ++k) row[k] = scale * static_cast<float>(integers[k / 4 * 4 * width + k % 4]);
    return;
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  for (int64_t k = 0; k < in; ++k) row[k] = bfloat16ToFloat(halves[k / 2 * 2 * width + k % 2]);
}

void CpuWeight::setBias(int64_t outBegin, int64_t outCount, const float* data) {
  std::copy(data, data + outCount, bias_.data() + outBegin);
}

void CpuWeight::setMagnitudes(int64_t outBegin, int64_t outCount, const float* magnitudes) {
  for (int64_t i = 0; i < outCount; ++i) {
    const float top = magnitudes[i];
    const bool usable = inverseScale(top) > 0;
    scale_.data()[outBegin + i] = top == top ? (usable ? top / 127.0f : 0.0f) : std::numeric_limits<float>::quiet_NaN();
    magnitude_[static_cast<size_t>(outBegin + i)] = top;
  }
}

void CpuWeight::findMagnitudes(int64_t outBegin, int64_t outCount, const float* data, int64_t outStride,
                               int64_t inStride) {
  std::vector<float> top(static_cast<size_t>(outCount));
  if (inStride == 1)
    for (int64_t i = 0; i < outCount; ++i)
      top[static_cast<size_t>(i)] = kernels_->weights.magnitude(data + i * outStride, in);
  else if (outStride == 1)
    kernels_->weights.columnMagnitudes(data, inStride, in, outCount, top.data());
  else
    for (int64_t i = 0; i < outCount; ++i)
      for (int64_t k = 0; k < in; ++k)
        kernels_->weights.columnMagnitudes(data + i * outStride + k * inStride, 0, 1, 1, top.data() + i);
  setMagnitudes(outBegin, outCount, top.data());
}

void CpuWeight::setInt8(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                        int64_t outStride, int64_t inStride) {
  const int64_t width = kernels_->panelWidth, outEnd = outBegin + outCount, ld = ceilDiv(inCount, 4);
  const bool whole = wholeUnits(inBegin, inCount);
  std::vector<uint32_t> rows(static_cast<size_t>(width * ld));
  for (int64_t n = outBegin; n < outEnd;) {
    const int64_t lane = n % width, lanes = std::min(width - lane, outEnd - n);
    const float* from = data + (n - outBegin) * outStride;
    float* to = panel(n / width) + inBegin / 4 * width + lane;
    float inverse[kMaxPanelWidth];
    int32_t sums[kMaxPanelWidth] = {};
    for (int64_t i = 0; i < lanes; ++i) {
      const float top = magnitude_[static_cast<size_t>(n + i)];
      if (top == kUnknown) throw Error(ErrorKind::Internal, "UNKNOWN_MAGNITUDE", "a block of int8 without its scale");
      inverse[i] = inverseScale(top);
    }
    if (inStride == 1 && whole) {
      for (int64_t i = 0; i < lanes; ++i)
        sums[i] = kernels_->weights.quantizeRow(from + i * outStride, inCount, inverse[i], rows.data() + i * ld);
      packUnits(rows.data(), ld, lanes, ld, to);
    } else if (outStride == 1 && whole) {
      kernels_->weights.quantizeColumns(from, inStride, inCount, lanes, inverse, reinterpret_cast<uint32_t*>(to), width,
                                        sums);
    } else {
      auto* bytes = reinterpret_cast<uint8_t*>(panel(n / width));
      for (int64_t k = 0; k < inCount; ++k)
        for (int64_t i = 0; i < lanes; ++i) {
          uint32_t unit;
          const int32_t q = kernels_->weights.quantizeRow(from + i * outStride + k * inStride, 1, inverse[i], &unit);
          sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(q));
          bytes[4 * ((inBegin + k) / 4 * width + lane + i) + (inBegin + k) % 4] = static_cast<uint8_t>(unit);
        }
    }
    // Unsigned: the integers of a row that is not finite are arbitrary (its scale is NaN) and only have to be defined.
    for (int64_t i = 0; i < lanes; ++i) {
      int32_t& offset = offset_[static_cast<size_t>(n + i)];
      offset = static_cast<int32_t>(static_cast<uint32_t>(offset) +
                                    static_cast<uint32_t>(gemm_->zeroPoint) * static_cast<uint32_t>(sums[i]));
    }
    n += lanes;
  }
}

}  // namespace ved::ops::cpu
