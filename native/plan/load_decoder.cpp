#include <cmath>

#include "plan/loader.h"

namespace ved::plan {
namespace {

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

}  // namespace

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

}  // namespace ved::plan
