#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/reference/reference.h"

namespace ved::ops {

namespace {

// A row as int8 has it: integers times a scale (see linear.h).
struct Quantized {
  std::vector<float> integers;
  double scale;  // NaN where the row is not finite
};

Quantized quantize(const float* x, int64_t n) {
  float top = 0, probe = 0;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, std::fabs(x[i])), probe += x[i] * 0.0f;
  const float inverse = top > 1e-30f ? 127.0f / top : 0.0f;
  Quantized row{std::vector<float>(static_cast<size_t>(n)), probe == 0.0f ? top / 127.0 : std::nan("")};
  for (int64_t i = 0; i < n; ++i) row.integers[i] = std::nearbyint(x[i] * inverse);
  return row;
}

// What is left of a row, in the arithmetic of float32: an integer of the second part changes with the last bit.
std::vector<float> restOf(const float* x, const Quantized& row) {
  const float scale = static_cast<float>(row.scale * 127.0) * (1.0f / 127.0f);
  std::vector<float> rest(row.integers.size());
  for (size_t i = 0; i < rest.size(); ++i) rest[i] = x[i] - scale * row.integers[i];
  return rest;
}

// A row of weights as the type has them.
std::vector<double> rounded(const float* x, int64_t n, ComputeType type) {
  std::vector<double> row(x, x + n);
  if (type == ComputeType::BFloat16)
    for (int64_t i = 0; i < n; ++i) row[i] = bfloat16ToFloat(bfloat16Bits(x[i]));
  if (type == ComputeType::Float16)
    for (int64_t i = 0; i < n; ++i) row[i] = float16ToFloat(float16Bits(x[i]));
  if (!hasInt8Weights(type)) return row;
  const Quantized as = quantize(x, n);
  for (int64_t i = 0; i < n; ++i) row[i] = as.integers[i] * as.scale;
  return row;
}

// A row of operands as the type has them.
std::vector<double> operand(const float* x, int64_t n, ComputeType type) {
  if (type != ComputeType::Int8Fine) return rounded(x, n, type);
  const Quantized first = quantize(x, n), second = quantize(restOf(x, first).data(), n);
  std::vector<double> row(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) row[i] = first.integers[i] * first.scale + second.integers[i] * second.scale;
  return row;
}

class ReferenceWeight final : public LinearWeight {
 public:
  ReferenceWeight(int64_t inSize, int64_t outSize, bool withBias, ComputeType kind)
      : w(static_cast<size_t>(inSize * outSize)), bias(static_cast<size_t>(outSize)) {
    in = inSize;
    out = outSize;
    hasBias = withBias;
    type = kind;
  }
  size_t bytes() const override { return (w.size() + bias.size()) * sizeof(float); }
  void setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                int64_t outStride, int64_t inStride) override {
    for (int64_t i = 0; i < outCount; ++i)
      for (int64_t j = 0; j < inCount; ++j) w[(outBegin + i) * in + inBegin + j] = data[i * outStride + j * inStride];
  }
  void setBias(int64_t outBegin, int64_t outCount, const float* data) override {
    for (int64_t i = 0; i < outCount; ++i) bias[outBegin + i] = data[i];
  }
  void seal() override {
    if (type == ComputeType::Float32) return;
    for (int64_t n = 0; n < out; ++n) {
      const std::vector<double> row = rounded(w.data() + n * in, in, type);
      std::transform(row.begin(), row.end(), w.begin() + n * in, [](double v) { return static_cast<float>(v); });
    }
  }

  std::vector<float> w;  // [out, in]
  std::vector<float> bias;
};

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  bool fusesEpilogues() const override { return false; }
  int threads() const override { return 1; }

  std::unique_ptr<LinearWeight> makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) override {
    return std::make_unique<ReferenceWeight>(in, out, hasBias, type);
  }
  const float* biasOf(const LinearWeight& weight) const override {
    return static_cast<const ReferenceWeight&>(weight).bias.data();
  }

  void linear(const LinearArgs& a) override {
    const auto& weight = static_cast<const ReferenceWeight&>(*a.weight);
    for (int64_t m = 0; m < a.rows; ++m) {
      const std::vector<double> x = operand(a.x + m * a.ldx, weight.in, weight.type);
      for (int64_t n = 0; n < weight.out; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < weight.in; ++k) sum += x[k] * weight.w[n * weight.in + k];
        if (a.useBias) sum += weight.bias[n];
        sum = reference::activation(sum, a.activation);
        if (a.residual) sum += a.residual[m * a.ldr + n];
        a.y[m * a.ldy + n] = static_cast<float>(sum);
      }
    }
  }
  void layerNorm(const LayerNormArgs& a) override { reference::layerNorm(a); }
  void encoderAttention(const EncoderAttentionArgs& a) override { reference::encoderAttention(a); }
  void cachedAttention(const CachedAttentionArgs& a) override { reference::cachedAttention(a); }
  void writeCache(const WriteCacheArgs& a) override { reference::writeCache(a); }
  void patches(const PatchesArgs& a) override { reference::patches(a); }
  void assembleTokens(const AssembleTokensArgs& a) override { reference::assembleTokens(a); }
  bool readsRows() const override { return true; }
  void embedTokens(const EmbedTokensArgs& a) override {
    EmbedTokensArgs rows = a;
    if (!a.table) rows.table = static_cast<const ReferenceWeight*>(a.tied)->w.data();
    reference::embedTokens(rows);
  }
  void windowAttention(const WindowAttentionArgs& a) override { reference::windowAttention(a); }
  void mergeCells(const MergeCellsArgs& a) override { reference::mergeCells(a); }
  void scaleColumns(const ScaleColumnsArgs& a) override {
    for (int64_t r = 0; r < a.rows; ++r)
      for (int64_t i = 0; i < a.width; ++i) a.y[r * a.width + i] *= a.factors[i];
  }
  void rotate(const RotateArgs& a) override {
    const int64_t half = a.headDim / 2, width = a.heads * a.headDim;
    for (int64_t b = 0; b < a.batch; ++b)
      for (int64_t c = 0; c < a.cells; ++c)
        for (int64_t h = 0; h < 2 * a.heads; ++h)  // queries, then keys
          for (int64_t d = 0; d < half; ++d) {
            float* x = a.qkv + (b * a.tokens + a.tokens - a.cells + c) * 3 * width + h * a.headDim + d;
            const double first = x[0], second = x[half], cosine = a.cosines[c * half + d], sine = a.sines[c * half + d];
            x[0] = static_cast<float>(first * cosine - second * sine);
            x[half] = static_cast<float>(second * cosine + first * sine);
          }
  }
  void ngramAttention(const NgramAttentionArgs& a) override { reference::ngramAttention(a); }
  void turnPairs(const TurnPairsArgs& a) override {
    const int64_t half = a.headDim / 2;
    for (int64_t t = 0; t < a.tokens; ++t)
      for (int64_t h = 0; h < a.parts * a.heads; ++h)
        for (int64_t d = 0; d < half; ++d) {
          float* x = a.qkv + (t * 3 * a.heads + h) * a.headDim + 2 * d;
          const double even = x[0], odd = x[1];
          const double cosine = a.cosines[a.positionIds[t] * half + d], sine = a.sines[a.positionIds[t] * half + d];
          x[0] = static_cast<float>(even * cosine - odd * sine);
          x[1] = static_cast<float>(odd * cosine + even * sine);
        }
  }
  void gate(const GateArgs& a) override {
    for (int64_t r = 0; r < a.rows; ++r)
      for (int64_t i = 0; i < a.width; ++i) {
        const float* x = a.x + r * 2 * a.width;
        a.y[r * a.width + i] = static_cast<float>(reference::activation(x[i], a.activation) * x[a.width + i]);
      }
  }
  void addBias(const AddBiasArgs& a) override {
    for (int64_t r = 0; r < a.rows; ++r)
      for (int64_t i = 0; i < a.width; ++i) a.y[r * a.width + i] += a.bias[i];
  }
  void activate(const ActivateArgs& a) override {
    for (int64_t i = 0; i < a.rows * a.width; ++i)
      a.y[i] = static_cast<float>(reference::activation(a.y[i], a.activation));
  }
  void poolTokens(const PoolTokensArgs& a) override { reference::poolTokens(a); }
  void addPositions(const AddPositionsArgs& a) override {
    const int64_t image = a.tokens * a.width;
    for (int64_t i = 0; i < a.batch * image; ++i) a.y[i] += a.positions[i % image];
  }
  void add(const AddArgs& a) override {
    for (int64_t i = 0; i < a.rows * a.width; ++i) a.y[i] += a.x[i];
  }
  bool selects(int64_t) const override { return true; }
  void selectTokens(const SelectArgs& a) override { reference::selectTokens(a); }
  void selectInPlace(const SelectArgs& a, const SelectDemand&) override { reference::selectTokens(a); }
  void advanceRows(const AdvanceArgs& a) override { reference::advanceRows(a); }
  bool preparesPixels() const override { return true; }
  void preparePixels(const PreparePixelsArgs& a) override { reference::preparePixels(a); }
  void summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, RowSummary* out) override {
    for (int64_t r = 0; r < rows; ++r) out[r] = reference::summarize(logits + r * ld, vocab);
  }
};

}  // namespace

std::unique_ptr<Backend> makeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace ved::ops
