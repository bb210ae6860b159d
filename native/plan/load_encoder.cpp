#include <cmath>

#include "plan/loader.h"

namespace ved::plan {
namespace {

// y = W x + b of a small map that runs once, at load.
class SmallLinear {
 public:
  SmallLinear(Loader& load, const spec::Linear& linear) : in_(linear.in) {
    for (const spec::LinearPart& part : linear.parts) {
      const std::vector<float> weight = load.vector(part.weight, in_ * part.out);
      for (int64_t o = 0; o < part.out; ++o)
        for (int64_t i = 0; i < in_; ++i)
          weight_.push_back(
              weight[static_cast<size_t>(part.layout == spec::LinearLayout::OutIn ? o * in_ + i : i * part.out + o)]);
      const std::vector<float> bias =
          part.bias ? load.vector(*part.bias, part.out) : std::vector<float>(static_cast<size_t>(part.out));
      bias_.insert(bias_.end(), bias.begin(), bias.end());
    }
  }

  std::vector<float> operator()(const std::vector<float>& x) const {
    std::vector<float> y = bias_;
    for (size_t o = 0; o < y.size(); ++o)
      for (size_t i = 0; i < x.size(); ++i) y[o] += weight_[o * static_cast<size_t>(in_) + i] * x[i];
    return y;
  }

 private:
  int64_t in_;
  std::vector<float> weight_, bias_;
};

// Log-spaced distance in units of the window the model was trained with; 8 and log2(8) are Swin v2's constants
// (transformers modeling_swinv2.py, create_coords_table_and_index).
float logDistance(int64_t cells, int64_t unit) {
  const float c = static_cast<float>(cells) / static_cast<float>(unit) * 8.0f;
  return std::copysign(std::log2(std::fabs(c) + 1.0f) / 3.0f, c);
}

// Of the distance (row, column), query minus key, [heads] each.
using DistanceBias = std::function<std::vector<float>(int64_t row, int64_t column)>;

BiasTable windowTable(int64_t side, int64_t heads, const DistanceBias& bias) {
  const int64_t span = 2 * side - 1;
  BiasTable out{std::vector<float>(static_cast<size_t>(heads * span * span)), {}, side, side};
  for (int64_t row = 0; row < span; ++row)
    for (int64_t column = 0; column < span; ++column) {
      const std::vector<float> values = bias(side - 1 - row, side - 1 - column);
      for (int64_t h = 0; h < heads; ++h)
        out.table[static_cast<size_t>((h * span + row) * span + column)] = values[static_cast<size_t>(h)];
    }
  return out;
}

BiasTable loadWindowBias(Loader& load, const spec::WindowSpan& window, int64_t heads) {
  const int64_t side = window.side, span = 2 * side - 1;
  if (const auto* stored = std::get_if<spec::WindowBiasTable>(&window.bias)) {
    const std::vector<float> table = load.vector(stored->table, span * span * heads);
    return windowTable(side, heads, [&](int64_t row, int64_t column) {
      const auto from = table.begin() + ((row + side - 1) * span + column + side - 1) * heads;
      return std::vector<float>(from, from + heads);
    });
  }
  const auto& mlp = std::get<spec::WindowBiasMlp>(window.bias);
  const SmallLinear hidden(load, mlp.hidden), output(load, mlp.output);
  return windowTable(side, heads, [&](int64_t row, int64_t column) {
    std::vector<float> inner = hidden({logDistance(row, mlp.unit), logDistance(column, mlp.unit)});
    for (float& v : inner) v = v < 0 ? 0 : v;
    std::vector<float> values = output(inner);
    for (float& v : values) v = 16.0f / (1.0f + std::exp(-v));
    return values;
  });
}

std::vector<float> loadSimilarity(Loader& load, const spec::Similarity& similarity, int64_t heads) {
  if (const auto* dot = std::get_if<spec::DotSimilarity>(&similarity))
    return std::vector<float>(static_cast<size_t>(heads), static_cast<float>(dot->scale));
  const auto& cosine = std::get<spec::CosineSimilarity>(similarity);
  std::vector<float> scale = load.vector(cosine.logScale, heads);
  for (float& v : scale)
    v = std::exp(v > static_cast<float>(cosine.maxLogScale) ? static_cast<float>(cosine.maxLogScale) : v);
  return scale;
}

std::vector<float> loadGridBias(Loader& load, const spec::GridBias& bias, int64_t heads) {
  std::vector<float> sum(static_cast<size_t>(((2 * bias.gridHeight - 1) * (2 * bias.gridWidth - 1) + 3) * heads));
  for (spec::TensorRef ref : bias.tables) {
    const std::vector<float> table = load.vector(ref, static_cast<int64_t>(sum.size()));
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += table[i];
  }
  return sum;
}

EncoderLayerWeights loadLayer(Loader& load, const spec::EncoderLayer& layer, int64_t width) {
  const spec::EncoderAttention& attention = layer.attention;
  EncoderLayerWeights w;
  if (layer.attentionScale) w.attentionScale = load.vector(*layer.attentionScale, width);
  if (layer.mlpScale) w.mlpScale = load.vector(*layer.mlpScale, width);
  const auto fold = [&](const std::vector<float>& scale) {
    return load.foldScales && !scale.empty() ? scale.data() : nullptr;
  };
  w.attention = {load.linear(attention.qkv), load.linear(attention.output, fold(w.attentionScale)), nullptr};
  w.attentionNorm = load.norm(layer.attentionNorm, attention.qkv.in);
  w.mlp = load.encoderMlp(layer.mlp, fold(w.mlpScale));
  w.mlpNorm = load.norm(layer.mlpNorm, width);
  if (load.foldScales) {
    w.attentionScale.clear();
    w.mlpScale.clear();
  }
  if (const auto* window = std::get_if<spec::WindowSpan>(&attention.span)) {
    w.similarityScale = loadSimilarity(load, window->similarity, attention.heads);
    w.windowBias = loadWindowBias(load, *window, attention.heads);
  } else if (const auto* all = std::get_if<spec::AllSpan>(&attention.span); all && all->bias) {
    w.gridBias = loadGridBias(load, *all->bias, attention.heads);
  }
  return w;
}

std::vector<float> loadTokens(Loader& load, const std::vector<spec::LearnedTokens>& tensors, int64_t width) {
  std::vector<float> all;
  for (const spec::LearnedTokens& tokens : tensors) {
    const std::vector<float> values = load.vector(tokens.tensor, tokens.count * width);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

void loadEmbedding(Loader& load, const spec::PatchEmbedding& embedding, int64_t width, ModelWeights& w) {
  w.patchProjection = load.patchProjection(embedding.projection);
  w.patchNorm = load.norm(embedding.patchNorm, width);
  w.prefixTokens = loadTokens(load, embedding.prefixTokens, width);
  w.suffixTokens = loadTokens(load, embedding.suffixTokens, width);
  if (const auto* grid = std::get_if<spec::GridPositions>(&embedding.positions))
    w.encoderPositions = load.vector(grid->table, positionRows(*grid) * width);
  w.encoderEmbeddingNorm = load.norm(embedding.norm, width);
}

}  // namespace

void loadEncoder(Loader& load, const spec::EncoderSpec& encoder, ModelWeights& w) {
  loadEmbedding(load, encoder.embedding, encoder.stages.front().width, w);
  for (const spec::EncoderStage& stage : encoder.stages) {
    w.entries.push_back(stage.entry ? load.linear(stage.entry->projection) : nullptr);
    for (const spec::EncoderLayer& layer : stage.layers) w.encoderLayers.push_back(loadLayer(load, layer, stage.width));
    if (const auto& merging = stage.merging) {
      const bool pre = merging->normPosition == spec::NormPosition::Pre;
      w.mergings.push_back({load.norm(merging->norm, pre ? merging->reduction.in : merging->reduction.out),
                            load.linear(merging->reduction)});
    }
  }
  if (const auto& positions = encoder.layerPositions) {
    const int64_t tables = static_cast<int64_t>(w.encoderLayers.size()) - 1;
    w.layerPositions = load.vector(positions->table, tables * positionRows(*positions) * encoder.hiddenSize);
  }
  w.encoderFinalNorm = load.norm(encoder.finalNorm, encoder.hiddenSize);
}

}  // namespace ved::plan
