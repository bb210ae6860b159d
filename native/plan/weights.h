// A model's weights in the backend's layout. Read tensor by tensor in bounded chunks, so that loading needs hardly more
// memory than the loaded model.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/tensor_table.h"
#include "ops/backend.h"
#include "spec/model_spec.h"

namespace ved::plan {

struct NormWeights {
  std::vector<float> gamma, beta;  // [width]
  float eps = 0;
};
using LinearPtr = std::unique_ptr<ops::LinearWeight>;

struct SelfAttentionWeights {
  LinearPtr qkv, output;
};
struct CrossAttentionWeights {
  LinearPtr query, kv, output;
};
struct MlpWeights {
  LinearPtr up, down;
};

struct EncoderLayerWeights {
  SelfAttentionWeights attention;
  NormWeights attentionNorm, mlpNorm;
  MlpWeights mlp;
};
struct DecoderLayerWeights {
  SelfAttentionWeights selfAttention;
  CrossAttentionWeights crossAttention;
  NormWeights selfNorm, crossNorm, mlpNorm;
  MlpWeights mlp;
};

struct ModelWeights {
  LinearPtr patchProjection;
  std::vector<float> prefixTokens;      // [prefix, H]
  std::vector<float> encoderPositions;  // [prefix + gridH * gridW, H]
  std::vector<EncoderLayerWeights> encoderLayers;
  std::optional<NormWeights> encoderFinalNorm;
  LinearPtr projection;
  std::vector<float> tokenTable;        // [V, width]
  std::vector<float> decoderPositions;  // [rows, width], the embedding's constant rows added
  std::optional<NormWeights> tokenNorm, embeddingNorm;
  LinearPtr embeddingProjection;
  std::vector<DecoderLayerWeights> decoderLayers;
  std::optional<NormWeights> decoderFinalNorm;
  LinearPtr headDense;
  std::optional<NormWeights> headNorm;
  LinearPtr head;
  size_t bytes = 0;
};

// progress(loadedTensors) is called after each one; returning false cancels (throws ved::Error code ABORTED).
ModelWeights loadWeights(const spec::ModelSpec& spec, const TensorTable& table, ops::Backend& backend,
                         const std::function<bool()>& keepGoing);

// Bicubic interpolation (a = -0.75, align_corners false, no antialiasing) of the grid part of a position table, as
// torch.nn.functional.interpolate does; the prefix rows are kept. table: [prefix + gridH * gridW, width].
std::vector<float> interpolatePositions(const std::vector<float>& table, const spec::GridPositions& grid, int64_t width,
                                        int64_t newHeight, int64_t newWidth);

}  // namespace ved::plan
