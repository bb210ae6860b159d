// A model's weights in the backend's layout. Read tensor by tensor in bounded chunks, so that loading needs hardly more
// memory than the loaded model.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "core/tensor_table.h"
#include "ops/backend.h"
#include "spec/model_spec.h"

namespace ved::plan {

struct NormWeights {
  ops::NormKind kind = ops::NormKind::Layer;
  std::vector<float> gamma, beta;  // [width]; Rms: beta empty
  float eps = 0;
};
using LinearPtr = std::unique_ptr<ops::LinearWeight>;

struct SelfAttentionWeights {
  LinearPtr qkv, output, relative;
};
struct CrossAttentionWeights {
  LinearPtr query, kv, output;
};
struct MlpWeights {
  LinearPtr up, down;
};

// A relative bias in the order of ops::RelativeBias.
struct BiasTable {
  std::vector<float> table, classes;
  int64_t gridH = 0, gridW = 0;
  ops::RelativeBias view() const {
    return {table.data(), classes.empty() ? nullptr : classes.data(), gridH, gridW, classes.empty() ? 0 : 1};
  }
};

struct EncoderLayerWeights {
  SelfAttentionWeights attention;
  NormWeights attentionNorm, mlpNorm;
  MlpWeights mlp;
  // Layer scale; empty where there is none or where it went into the linear map before it.
  std::vector<float> attentionScale, mlpScale;
  std::vector<float> similarityScale;  // windows: [heads]
  BiasTable windowBias;                // windows
  std::vector<float> gridBias;         // the sum of the spec's tables, as they are stored
};
struct MergingWeights {
  NormWeights norm;
  LinearPtr reduction;
};
struct AdapterWeights {
  std::optional<NormWeights> norm;
  MlpWeights mlp;
};
struct DecoderLayerWeights {
  std::variant<SelfAttentionWeights, CrossAttentionWeights> selfAttention;
  CrossAttentionWeights crossAttention;
  NormWeights selfNorm, crossNorm, mlpNorm;
  MlpWeights mlp;
  std::optional<AdapterWeights> adapter;
};

// Cosines and sines of rotary positions, [cells or rows, headDim / 2] each.
struct RotaryAngles {
  std::vector<float> cosines, sines;
};

struct ModelWeights {
  ComputeType type = ComputeType::Float32;
  LinearPtr patchProjection;
  std::optional<NormWeights> patchNorm, encoderEmbeddingNorm;
  std::vector<float> prefixTokens, suffixTokens;   // [count, width] each
  std::vector<float> encoderPositions;             // [positions.prefix + gridH * gridW + positions.suffix, width]
  std::vector<float> layerPositions;               // tables of the same form: one per layer but the first, or none
  std::vector<EncoderLayerWeights> encoderLayers;  // of all stages
  std::vector<MergingWeights> mergings;            // one per stage but the last, or none
  std::vector<LinearPtr> entries;                  // projections, one per stage; nullptr: no entry
  std::optional<NormWeights> encoderFinalNorm;
  LinearPtr projection;
  std::vector<float> tokenTable;        // [V, width]; empty: the head holds it
  std::vector<float> decoderPositions;  // [rows, width], the embedding's constant rows added; rotary: their sum alone
  RotaryAngles decoderAngles;           // rotary positions of text
  std::vector<std::vector<float>> streamStarts;  // per predicting stream [rows - 1, width]
  std::vector<int32_t> bucketOfDistance;         // with predicting streams
  LinearPtr tokenMap;                            // what lies beside the token is in its bias
  std::optional<NormWeights> tokenNorm, embeddingNorm;
  LinearPtr embeddingProjection;
  std::vector<DecoderLayerWeights> decoderLayers;
  std::optional<NormWeights> decoderFinalNorm;
  LinearPtr headDense;
  std::optional<NormWeights> headNorm;
  LinearPtr head;
  size_t bytes = 0;
};

// keepGoing() is called before each piece of work, on any of the backend's threads; returning false cancels (throws
// ved::Error code ABORTED). foldScales: layer scales go into the linear maps before them, as fusion would. Matrices are
// held as `type`; in int8 those that are sensitive as bfloat16: the patch projection and the head, whose errors nothing
// averages out, and the perceptrons of encoder layers narrower than 256.
ModelWeights loadWeights(const spec::ModelSpec& spec, const TensorTable& table, ops::Backend& backend, ComputeType type,
                         bool foldScales, const std::function<bool()>& keepGoing);

// The tokens of one image: learned ones around the cells of a grid.
struct TokenLayout {
  int64_t prefix = 0, height = 0, width = 0, suffix = 0;
  int64_t tokens() const { return prefix + height * width + suffix; }
};

// The position table of a layout, as torch.nn.functional.interpolate resamples it, with a zero row for each learned
// token that has no position. table: [grid.prefix + gridH * gridW + grid.suffix, width] -> [layout.tokens(), width].
std::vector<float> interpolatePositions(const float* table, const spec::GridPositions& grid, int64_t width,
                                        const TokenLayout& layout);

inline int64_t positionRows(const spec::GridPositions& grid) {
  return grid.prefix + grid.gridHeight * grid.gridWidth + grid.suffix;
}

inline ops::CellOrder cellOrder(const spec::PatchEmbedding& embedding) {
  if (!embedding.cellOrder) return {};
  return {embedding.cellOrder->levels, embedding.cellOrder->strideHeight, embedding.cellOrder->strideWidth};
}

// Rows of cells in row-major order -> in the order of their tokens. rows: [gridHeight * gridWidth, width].
std::vector<float> orderRows(const std::vector<float>& rows, const ops::CellOrder& order, int64_t gridHeight,
                             int64_t gridWidth);

// Computed positions of the cells, zero rows for all other tokens: [layout.tokens(), width].
std::vector<float> wavePositions(const spec::WavePositions& positions, int64_t width, const TokenLayout& layout);

RotaryAngles rotaryAngles(const spec::RotaryPositions& positions, int64_t headDim, int64_t gridHeight,
                          int64_t gridWidth);

// The bucket of every distance below `count` (modeling_prophetnet.py, compute_relative_buckets; float32 as there).
std::vector<int32_t> distanceBuckets(int64_t buckets, int64_t maxDistance, int64_t count);

// BEiT's bias for a grid of newHeight x newWidth cells. stored: [(2 gridH - 1)(2 gridW - 1) + 3, heads].
BiasTable interpolateBias(const std::vector<float>& stored, const spec::GridBias& grid, int64_t heads,
                          int64_t newHeight, int64_t newWidth);

}  // namespace ved::plan
