#include "plan/weights.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace ved::plan {
namespace {

// Float32 elements held at once while a matrix is being packed (4 MiB).
constexpr int64_t kChunkElements = 1 << 20;

class Loader {
 public:
  Loader(const TensorTable& table, ops::Backend& backend, const std::function<bool()>& keepGoing)
      : reader_(table), backend_(backend), keepGoing_(keepGoing) {}

  size_t bytes = 0;

  std::vector<float> vector(spec::TensorRef tensor, int64_t expected) {
    checkpoint();
    expectElements(tensor, expected);
    bytes += static_cast<size_t>(expected) * sizeof(float);
    return reader_.readAll(tensor);
  }

  NormWeights norm(const spec::Norm& norm, int64_t width) {
    return {vector(norm.weight, width), vector(norm.bias, width), static_cast<float>(norm.eps)};
  }

  std::optional<NormWeights> norm(const std::optional<spec::Norm>& value, int64_t width) {
    if (!value) return std::nullopt;
    return norm(*value, width);
  }

  LinearPtr linear(const spec::Linear& linear) {
    const bool hasBias =
        std::any_of(linear.parts.begin(), linear.parts.end(), [](const auto& p) { return p.bias.has_value(); });
    LinearPtr weight = backend_.makeLinear(linear.in, linear.out, hasBias);
    int64_t row = 0;
    for (const spec::LinearPart& part : linear.parts) {
      checkpoint();
      expectElements(part.weight, linear.in * part.out);
      packPart(*weight, part, linear.in, row);
      if (part.bias) {
        expectElements(*part.bias, part.out);
        const std::vector<float> bias = reader_.readAll(*part.bias);
        weight->setBias(row, part.out, bias.data());
      }
      row += part.out;
    }
    bytes += weight->bytes();
    return weight;
  }

 private:
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

  void packPart(ops::LinearWeight& weight, const spec::LinearPart& part, int64_t in, int64_t row) {
    const bool outIn = part.layout == spec::LinearLayout::OutIn;
    const int64_t lines = outIn ? part.out : in;
    const int64_t lineLength = outIn ? in : part.out;
    const int64_t linesPerChunk = std::max<int64_t>(1, kChunkElements / lineLength);
    chunk_.resize(static_cast<size_t>(std::min(lines, linesPerChunk) * lineLength));
    for (int64_t line = 0; line < lines; line += linesPerChunk) {
      const int64_t count = std::min(linesPerChunk, lines - line);
      reader_.read(part.weight, line * lineLength, count * lineLength, chunk_.data());
      if (outIn)
        weight.setBlock(row + line, count, 0, in, chunk_.data(), in, 1);
      else
        weight.setBlock(row, part.out, line, count, chunk_.data(), 1, part.out);
    }
  }

  TensorReader reader_;
  ops::Backend& backend_;
  const std::function<bool()>& keepGoing_;
  std::vector<float> chunk_;
};

// fairseq-style table used by TrOCR (transformers modeling_trocr.py, TrOCRSinusoidalPositionalEmbedding): sines fill
// the first half of a row, cosines the second; the pad row is zero. All arithmetic in float32 to match.
std::vector<float> sinusoidalTable(const spec::SinusoidalPositions& positions, int64_t width) {
  const int64_t half = width / 2;
  std::vector<float> table(static_cast<size_t>(positions.rows * width), 0.f);
  const float step = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
  for (int64_t row = 0; row < positions.rows; ++row) {
    if (row == positions.padTokenId) continue;
    float* out = table.data() + row * width;
    for (int64_t j = 0; j < half; ++j) {
      const float angle = static_cast<float>(row) * std::exp(static_cast<float>(j) * -step);
      out[j] = std::sin(angle);
      out[half + j] = std::cos(angle);
    }
  }
  return table;
}

MlpWeights loadMlp(Loader& load, const spec::Mlp& mlp) { return {load.linear(mlp.up), load.linear(mlp.down)}; }

void loadEncoder(Loader& load, const spec::EncoderSpec& encoder, ModelWeights& w) {
  const int64_t width = encoder.hiddenSize;
  const spec::PatchEmbedding& embedding = encoder.embedding;
  w.patchProjection = load.linear(embedding.projection);
  for (spec::TensorRef token : embedding.prefixTokens) {
    const std::vector<float> values = load.vector(token, width);
    w.prefixTokens.insert(w.prefixTokens.end(), values.begin(), values.end());
  }
  const spec::GridPositions& grid = embedding.positions;
  w.encoderPositions = load.vector(grid.table, (grid.prefix + grid.gridHeight * grid.gridWidth) * width);
  for (const spec::EncoderLayer& layer : encoder.layers) {
    w.encoderLayers.push_back({{load.linear(layer.attention.qkv), load.linear(layer.attention.output)},
                               load.norm(layer.attentionNorm, width),
                               load.norm(layer.mlpNorm, width),
                               loadMlp(load, layer.mlp)});
  }
  w.encoderFinalNorm = load.norm(encoder.finalNorm, width);
}

void loadDecoder(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w) {
  const int64_t width = decoder.hiddenSize;
  w.tokenTable = load.vector(decoder.embedding.table, decoder.vocabSize * width);
  if (const auto* learned = std::get_if<spec::LearnedPositions>(&decoder.embedding.positions)) {
    w.decoderPositions = load.vector(learned->table, learned->rows * width);
  } else {
    w.decoderPositions = sinusoidalTable(std::get<spec::SinusoidalPositions>(decoder.embedding.positions), width);
    load.bytes += w.decoderPositions.size() * sizeof(float);
  }
  w.embeddingNorm = load.norm(decoder.embedding.norm, width);
  for (const spec::DecoderLayer& layer : decoder.layers) {
    const spec::CrossAttention& cross = layer.crossAttention;
    w.decoderLayers.push_back({{load.linear(layer.selfAttention.qkv), load.linear(layer.selfAttention.output)},
                               {load.linear(cross.query), load.linear(cross.kv), load.linear(cross.output)},
                               load.norm(layer.selfNorm, width),
                               load.norm(layer.crossNorm, width),
                               load.norm(layer.mlpNorm, width),
                               loadMlp(load, layer.mlp)});
  }
  w.decoderFinalNorm = load.norm(decoder.finalNorm, width);
  w.head = load.linear(decoder.head);
}

float cubic(float t) {  // Keys' kernel with a = -0.75
  constexpr float a = -0.75f;
  t = std::fabs(t);
  if (t <= 1.f) return ((a + 2.f) * t - (a + 3.f)) * t * t + 1.f;
  if (t < 2.f) return ((a * t - 5.f * a) * t + 8.f * a) * t - 4.f * a;
  return 0.f;
}

struct Taps {
  int64_t index[4];
  float weight[4];
};

std::vector<Taps> cubicTaps(int64_t in, int64_t out) {
  std::vector<Taps> taps(static_cast<size_t>(out));
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t o = 0; o < out; ++o) {
    const float source = (static_cast<float>(o) + 0.5f) * scale - 0.5f;
    const float base = std::floor(source);
    for (int k = 0; k < 4; ++k) {
      const int64_t index = static_cast<int64_t>(base) + k - 1;
      taps[static_cast<size_t>(o)].index[k] = std::clamp<int64_t>(index, 0, in - 1);
      taps[static_cast<size_t>(o)].weight[k] = cubic(source - (base + static_cast<float>(k - 1)));
    }
  }
  return taps;
}

}  // namespace

ModelWeights loadWeights(const spec::ModelSpec& spec, const TensorTable& table, ops::Backend& backend,
                         const std::function<bool()>& keepGoing) {
  Loader load(table, backend, keepGoing);
  ModelWeights weights;
  loadEncoder(load, spec.encoder, weights);
  if (spec.projection) weights.projection = load.linear(*spec.projection);
  loadDecoder(load, spec.decoder, weights);
  weights.bytes = load.bytes;
  return weights;
}

std::vector<float> interpolatePositions(const std::vector<float>& table, const spec::GridPositions& grid, int64_t width,
                                        int64_t newHeight, int64_t newWidth) {
  std::vector<float> out(static_cast<size_t>((grid.prefix + newHeight * newWidth) * width));
  std::copy_n(table.begin(), grid.prefix * width, out.begin());
  const float* source = table.data() + grid.prefix * width;
  const std::vector<Taps> rows = cubicTaps(grid.gridHeight, newHeight);
  const std::vector<Taps> columns = cubicTaps(grid.gridWidth, newWidth);
  float* target = out.data() + grid.prefix * width;
  for (const Taps& row : rows) {
    for (const Taps& column : columns) {
      for (int64_t c = 0; c < width; ++c) {
        float sum = 0;
        for (int i = 0; i < 4; ++i) {
          float line = 0;
          for (int j = 0; j < 4; ++j)
            line += column.weight[j] * source[(row.index[i] * grid.gridWidth + column.index[j]) * width + c];
          sum += row.weight[i] * line;
        }
        *target++ = sum;
      }
    }
  }
  return out;
}

}  // namespace ved::plan
