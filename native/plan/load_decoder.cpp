#include <cmath>

#include "plan/loader.h"

namespace ved::plan {
namespace {

// fairseq-style table used by TrOCR (transformers modeling_trocr.py, TrOCRSinusoidalPositionalEmbedding): sines fill
// the first half of a row, cosines the second; one row is zero. All arithmetic in float32 to match.
std::vector<float> sinusoidalTable(const spec::SinusoidalPositions& positions, int64_t width) {
  const int64_t half = width / 2;
  std::vector<float> table(static_cast<size_t>(positions.rows * width), 0.f);
  const float step = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
  for (int64_t row = 0; row < positions.rows; ++row) {
    if (row == positions.zeroRow) continue;
    float* out = table.data() + row * width;
    for (int64_t j = 0; j < half; ++j) {
      const float angle = static_cast<float>(row) * std::exp(static_cast<float>(j) * -step);
      out[j] = std::sin(angle);
      out[half + j] = std::cos(angle);
    }
  }
  return table;
}

std::vector<float> positionTable(Loader& load, const spec::DecoderEmbedding& embedding) {
  if (const auto* stored = std::get_if<spec::TablePositions>(&embedding.positions))
    return load.vector(stored->table, stored->rows * embedding.width);
  if (std::holds_alternative<spec::TurnedPositions>(embedding.positions))
    return std::vector<float>(embedding.constants.empty() ? 0 : static_cast<size_t>(embedding.width));
  std::vector<float> table = sinusoidalTable(std::get<spec::SinusoidalPositions>(embedding.positions), embedding.width);
  load.bytes += table.size() * sizeof(float);
  return table;
}

// Every token reads exactly one position row, so what is added to all of them is added to the table.
void addConstants(Loader& load, const spec::DecoderEmbedding& embedding, std::vector<float>& positions) {
  const size_t width = static_cast<size_t>(embedding.width);
  for (const spec::ConstantRow& constant : embedding.constants) {
    const std::vector<float> row = load.firstRow(constant.table, constant.rows, embedding.width);
    for (size_t i = 0; i < positions.size(); ++i) positions[i] += row[i % width];
  }
}

// transformers modeling_roformer.py: the sines fill the first half of a row, the cosines the second.
RotaryAngles angles(Loader& load, const spec::TurnedPositions& positions, int64_t headDim) {
  const std::vector<float> table = load.vector(positions.table, positions.rows * headDim);
  RotaryAngles angles;
  for (auto row = table.begin(); row != table.end(); row += headDim) {
    angles.sines.insert(angles.sines.end(), row, row + headDim / 2);
    angles.cosines.insert(angles.cosines.end(), row + headDim / 2, row + headDim);
  }
  return angles;
}

std::vector<float> besideToken(Loader& load, const spec::TokenMap& map) {
  std::vector<float> beside;
  for (const spec::BesideRow& row : map.beside) {
    const std::vector<float> first = load.firstRow(row.table, row.rows, row.width);
    beside.insert(beside.end(), first.begin(), first.end());
  }
  return beside;
}

void loadEmbedding(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w) {
  const spec::DecoderEmbedding& embedding = decoder.embedding;
  if (!load.holdsTable(decoder.head, embedding))
    w.tokenTable = load.vector(embedding.table, decoder.vocabSize * embedding.width);
  if (embedding.tokenMap) w.tokenMap = load.mapOfToken(embedding.tokenMap->map, besideToken(load, *embedding.tokenMap));
  w.tokenNorm = load.norm(embedding.tokenNorm, embedding.width);
  w.decoderPositions = positionTable(load, embedding);
  addConstants(load, embedding, w.decoderPositions);
  if (const auto* turned = std::get_if<spec::TurnedPositions>(&embedding.positions))
    w.decoderAngles =
        angles(load, *turned, std::get<spec::SelfAttention>(decoder.layers.front().selfAttention).headDim);
  w.embeddingNorm = load.norm(embedding.norm, embedding.width);
  if (embedding.projection) w.embeddingProjection = load.linear(*embedding.projection);
}

void loadStreams(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w) {
  const spec::NgramStreams& streams = *decoder.streams;
  const int64_t width = decoder.embedding.width;
  const std::vector<float> first = load.vector(streams.table, streams.count * width);
  for (int64_t s = 0; s < streams.count; ++s) {
    std::vector<float> rows(w.decoderPositions.begin() + width, w.decoderPositions.end());
    const float* own = first.data() + (s + streams.count - 1) % streams.count * width;
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += own[i % static_cast<size_t>(width)];
    load.bytes += rows.size() * sizeof(float);
    w.streamStarts.push_back(std::move(rows));
  }
  w.bucketOfDistance = distanceBuckets(streams.buckets, streams.maxDistance, decoder.maxPositions + 2);
}

CrossAttentionWeights loadCross(Loader& load, const spec::CrossAttention& cross) {
  return {load.linear(cross.query), load.linear(cross.kv), load.linear(cross.output)};
}

std::variant<SelfAttentionWeights, CrossAttentionWeights> loadTextAttention(
    Loader& load, const std::variant<spec::SelfAttention, spec::CrossAttention>& attention) {
  if (const auto* cross = std::get_if<spec::CrossAttention>(&attention)) return loadCross(load, *cross);
  const auto& self = std::get<spec::SelfAttention>(attention);
  return SelfAttentionWeights{load.linear(self.qkv), load.linear(self.output),
                              self.relative ? load.linear(*self.relative) : nullptr};
}

std::optional<AdapterWeights> loadAdapter(Loader& load, const std::optional<spec::Adapter>& adapter, int64_t width) {
  if (!adapter) return std::nullopt;
  return AdapterWeights{load.norm(adapter->norm, width), loadMlp(load, adapter->mlp)};
}

}  // namespace

void loadDecoder(Loader& load, const spec::DecoderSpec& decoder, ModelWeights& w) {
  const int64_t width = decoder.hiddenSize;
  loadEmbedding(load, decoder, w);
  if (decoder.streams) loadStreams(load, decoder, w);
  for (const spec::DecoderLayer& layer : decoder.layers) {
    w.decoderLayers.push_back({loadTextAttention(load, layer.selfAttention), loadCross(load, layer.crossAttention),
                               load.norm(layer.selfNorm, width), load.norm(layer.crossNorm, width),
                               load.norm(layer.mlpNorm, width), loadMlp(load, layer.mlp),
                               loadAdapter(load, layer.adapter, width)});
  }
  w.decoderFinalNorm = load.norm(decoder.finalNorm, width);
  if (decoder.headTransform) {
    w.headDense = load.linear(decoder.headTransform->dense);
    w.headNorm = load.norm(decoder.headTransform->norm, decoder.headTransform->dense.out);
  }
  w.head = load.head(decoder.head);
}

}  // namespace ved::plan
