// Reads a checkpoint's tensors into vectors and packed matrices. Matrices are queued and packed on the backend's
// threads, each of which reads what it packs; what is packed does not depend on their number.
#pragma once
#include <algorithm>

#include "core/error.h"
#include "plan/weights.h"

namespace ved::plan {

// Float32 elements read at once: they stay in the second level cache until they are packed.
inline constexpr int64_t kChunkElements = 1 << 17;
// Outputs that packed layouts keep together; chunks begin at multiples.
inline constexpr int64_t kBlockOutputs = 32;
// Elements of matrices packed in one go: backends may hold a copy of each until it is sealed.
inline constexpr int64_t kPendingElements = 1 << 25;

// Below this width, an encoder's perceptrons are kept in bfloat16 by int8 (docs/numerics.md has the measurement).
inline constexpr int64_t kNarrowEncoder = 256;

class Loader {
 public:
  Loader(const TensorTable& table, ops::Backend& backend, ComputeType type, const std::function<bool()>& keepGoing)
      : reader_(table),
        backend_(backend),
        type_(type),
        keepGoing_(keepGoing),
        chunks_(static_cast<size_t>(std::max(1, backend.threads()))) {}

  size_t bytes = 0;
  bool foldScales = false;

  std::vector<float> vector(spec::TensorRef tensor, int64_t expected) {
    checkpoint();
    expectElements(tensor, expected);
    bytes += static_cast<size_t>(expected) * sizeof(float);
    std::vector<float> values(static_cast<size_t>(expected));
    backend_.parallelFor((expected + kChunkElements - 1) / kChunkElements, [&](int64_t chunk, int) {
      const int64_t first = chunk * kChunkElements;
      reader_.read(tensor, first, std::min(kChunkElements, expected - first), values.data() + first);
    });
    return values;
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

  LinearPtr patchProjection(const spec::Linear& linear) { return this->linear(linear, nullptr, sensitiveType()); }

  // Its matrix is as large as several layers, and read for every token: int8 keeps only its operands higher.
  LinearPtr head(const spec::Linear& linear) {
    return this->linear(linear, nullptr, type_ == ComputeType::Int8 ? ComputeType::Int8Fine : type_);
  }

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
    const auto scale = rowScale ? std::make_shared<const std::vector<float>>(rowScale, rowScale + linear.out) : nullptr;
    int64_t row = 0;
    for (const spec::LinearPart& part : linear.parts) {
      checkpoint();
      expectElements(part.weight, linear.in * part.out);
      queue({weight.get(), part.weight, linear.in, part.out, row, 0, 0, scale}, part.layout);
      if (part.bias) {
        expectElements(*part.bias, part.out);
        std::vector<float> bias = reader_.readAll(*part.bias);
        for (int64_t i = 0; rowScale && i < part.out; ++i) bias[static_cast<size_t>(i)] *= rowScale[row + i];
        weight->setBias(row, part.out, bias.data());
      }
      row += part.out;
    }
    unsealed_.push_back(weight.get());
    pendingElements_ += linear.in * linear.out;
    if (pendingElements_ >= kPendingElements) packPending();
    return weight;
  }

  // Before the first use of any matrix; until then all of them must stay alive.
  void packPending();

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

  // Lines [first, first + count) of a part: rows of W where it is stored [out, in], else columns.
  struct Packing {
    ops::LinearWeight* weight;
    spec::TensorRef tensor;
    int64_t in, out, row;  // of the part; its first output in the weight
    int64_t first, count;
    std::shared_ptr<const std::vector<float>> scale;  // of the weight's outputs, or nullptr
  };

  void queue(Packing packing, spec::LinearLayout layout);
  void packRows(const Packing& packing, std::vector<float>& chunk) const;
  void packColumns(const Packing& packing, std::vector<float>& chunk) const;
  void findMagnitudes(const Packing& packing, std::vector<float>& chunk) const;
  const float* readLines(const Packing& packing, int64_t first, int64_t count, std::vector<float>& chunk) const;

  TensorReader reader_;
  ops::Backend& backend_;
  ComputeType type_;
  const std::function<bool()>& keepGoing_;
  std::vector<Packing> rows_, columns_;
  std::vector<ops::LinearWeight*> unsealed_;
  int64_t pendingElements_ = 0;
  std::vector<std::vector<float>> chunks_;  // by worker
};

inline MlpWeights loadMlp(Loader& load, const spec::Mlp& mlp) { return {load.linear(mlp.up), load.linear(mlp.down)}; }

void loadEncoder(Loader& load, const spec::EncoderSpec& encoder, ModelWeights& w);
void loadDecoder(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w);

}  // namespace ved::plan
