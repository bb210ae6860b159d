#include "plan/loader.h"

namespace ved::plan {

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

}  // namespace ved::plan
