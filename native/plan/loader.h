// Reads a checkpoint's tensors into vectors and packed matrices, one at a time.
#pragma once
#include <algorithm>

#include "core/error.h"
#include "plan/weights.h"

namespace ved::plan {

// Float32 elements held at once while a matrix is being packed (4 MiB).
inline constexpr int64_t kChunkElements = 1 << 20;

// Below this width, an encoder's perceptrons are kept in bfloat16 by int8 (docs/numerics.md has the measurement).
inline constexpr int64_t kNarrowEncoder = 256;

class Loader {
 public:
  Loader(const TensorTable& table, ops::Backend& backend, ComputeType type, const std::function<bool()>& keepGoing)
      : reader_(table), backend_(backend), type_(type), keepGoing_(keepGoing) {}

  size_t bytes = 0;
  bool foldScales = false;

  std::vector<float> vector(spec::TensorRef tensor, int64_t expected) {
    checkpoint();
    expectElements(tensor, expected);
    bytes += static_cast<size_t>(expected) * sizeof(float);
    return reader_.readAll(tensor);
  }

  // The first of a table's `rows` rows.
  std::vector<float> firstRow(spec::TensorRef tensor, int64_t rows, int64_t width) {
    checkpoint();
    expectElements(tensor, rows * width);
    std::vector<float> row(static_cast<size_t>(width));
    reader_.read(tensor, 0, width, row.data());
    return row;
  }

  NormWeights norm(const spec::Norm& norm, int64_t width) {
    if (const auto* rms = std::get_if<spec::RmsNorm>(&norm))
      return {ops::NormKind::Rms, vector(rms->weight, width), {}, static_cast<float>(rms->eps)};
    const auto& layer = std::get<spec::LayerNorm>(norm);
    return {ops::NormKind::Layer, vector(layer.weight, width), vector(layer.bias, width),
            static_cast<float>(layer.eps)};
  }

  std::optional<NormWeights> norm(const std::optional<spec::Norm>& value, int64_t width) {
    if (!value) return std::nullopt;
    return norm(*value, width);
  }

  // A matrix next to the model's input or output.
  LinearPtr outermost(const spec::Linear& linear) { return this->linear(linear, nullptr, sensitiveType()); }

  // The perceptron of an encoder layer. rowScale: [width] factors of its outputs, or nullptr.
  MlpWeights encoderMlp(const spec::Mlp& mlp, const float* rowScale) {
    const ComputeType type = mlp.up.in < kNarrowEncoder ? sensitiveType() : type_;
    return {linear(mlp.up, nullptr, type), linear(mlp.down, rowScale, type)};
  }

  // rowScale: [out] factors of the outputs, or nullptr.
  LinearPtr linear(const spec::Linear& linear, const float* rowScale = nullptr) {
    return this->linear(linear, rowScale, type_);
  }

  // The head's matrix can serve as the token table: it is the same tensor, and this backend reads its rows.
  bool holdsTable(const spec::Linear& head, const spec::DecoderEmbedding& embedding) const {
    return backend_.readsRows() && head.parts.size() == 1 && head.parts[0].weight == embedding.table &&
           head.parts[0].layout == spec::LinearLayout::OutIn && head.in == embedding.width;
  }

  // The first columns of a map whose other inputs are always `beside`: their part goes into the bias.
  LinearPtr mapOfToken(const spec::Linear& linear, const std::vector<float>& beside) {
    const int64_t more = static_cast<int64_t>(beside.size()), width = linear.in - more;
    LinearPtr weight = backend_.makeLinear(width, linear.out, true, type_);
    std::vector<float> line(static_cast<size_t>(linear.in)), bias(static_cast<size_t>(linear.out));
    int64_t row = 0;
    for (const spec::LinearPart& part : linear.parts) {
      checkpoint();
      expectElements(part.weight, linear.in * part.out);
      const std::vector<float> own = part.bias ? reader_.readAll(*part.bias) : std::vector<float>(bias.size());
      for (int64_t i = 0; i < part.out; ++i, ++row) {
        reader_.read(part.weight, i * linear.in, linear.in, line.data());
        weight->setBlock(row, 1, 0, width, line.data(), width, 1);
        double sum = own[static_cast<size_t>(i)];
        for (int64_t k = 0; k < more; ++k)
          sum += static_cast<double>(line[static_cast<size_t>(width + k)]) * beside[static_cast<size_t>(k)];
        bias[static_cast<size_t>(row)] = static_cast<float>(sum);
      }
    }
    weight->setBias(0, linear.out, bias.data());
    weight->seal();
    bytes += weight->bytes();
    return weight;
  }

  LinearPtr linear(const spec::Linear& linear, const float* rowScale, ComputeType type) {
    const bool hasBias =
        std::any_of(linear.parts.begin(), linear.parts.end(), [](const auto& p) { return p.bias.has_value(); });
    LinearPtr weight = backend_.makeLinear(linear.in, linear.out, hasBias, type);
    int64_t row = 0;
    for (const spec::LinearPart& part : linear.parts) {
      checkpoint();
      expectElements(part.weight, linear.in * part.out);
      packPart(*weight, part, linear.in, row, rowScale);
      if (part.bias) {
        expectElements(*part.bias, part.out);
        std::vector<float> bias = reader_.readAll(*part.bias);
        for (int64_t i = 0; rowScale && i < part.out; ++i) bias[static_cast<size_t>(i)] *= rowScale[row + i];
        weight->setBias(row, part.out, bias.data());
      }
      row += part.out;
    }
    weight->seal();
    bytes += weight->bytes();
    return weight;
  }

 private:
  ComputeType sensitiveType() const { return type_ == ComputeType::Int8 ? ComputeType::BFloat16 : type_; }

  void checkpoint() const {
    if (!keepGoing_()) throw Error(ErrorKind::Internal, "ABORTED", "loading was cancelled");
  }

  void expectElements(spec::TensorRef tensor, int64_t expected) const {
    const TensorPlace& place = reader_.place(tensor);
    if (place.elements() != expected)
      throw Error(ErrorKind::Weights, "SHAPE_MISMATCH",
                  "tensor " + place.name + ": expected " + std::to_string(expected) + " elements, got " +
                      std::to_string(place.elements()));
  }

  void packPart(ops::LinearWeight& weight, const spec::LinearPart& part, int64_t in, int64_t row,
                const float* rowScale) {
    const bool outIn = part.layout == spec::LinearLayout::OutIn;
    const int64_t lines = outIn ? part.out : in;
    const int64_t lineLength = outIn ? in : part.out;
    const int64_t linesPerChunk = std::max<int64_t>(1, kChunkElements / lineLength);
    chunk_.resize(static_cast<size_t>(std::min(lines, linesPerChunk) * lineLength));
    for (int64_t line = 0; line < lines; line += linesPerChunk) {
      const int64_t count = std::min(linesPerChunk, lines - line);
      reader_.read(part.weight, line * lineLength, count * lineLength, chunk_.data());
      for (int64_t i = 0; rowScale && i < count * lineLength; ++i)
        chunk_[static_cast<size_t>(i)] *= rowScale[row + (outIn ? line + i / lineLength : i % lineLength)];
      if (outIn)
        weight.setBlock(row + line, count, 0, in, chunk_.data(), in, 1);
      else
        weight.setBlock(row, part.out, line, count, chunk_.data(), 1, part.out);
    }
  }

  TensorReader reader_;
  ops::Backend& backend_;
  ComputeType type_;
  const std::function<bool()>& keepGoing_;
  std::vector<float> chunk_;
};

inline MlpWeights loadMlp(Loader& load, const spec::Mlp& mlp) { return {load.linear(mlp.up), load.linear(mlp.down)}; }

void loadEncoder(Loader& load, const spec::EncoderSpec& encoder, ModelWeights& w);
void loadDecoder(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w);

}  // namespace ved::plan
