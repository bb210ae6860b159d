// The model as plain data; the twin of ts/spec/model-spec.ts (an echo test keeps the two equal). Nothing here knows
// Hugging Face names. TensorRef indexes the tensor table.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/activation.h"

namespace ved::spec {

using TensorRef = int32_t;
using ved::Activation;

enum class LinearLayout : uint8_t { OutIn, InOut };
enum class NormPosition : uint8_t { Pre, Post };

struct LinearPart {
  TensorRef weight = -1;
  std::optional<TensorRef> bias;
  LinearLayout layout = LinearLayout::OutIn;
  int64_t out = 0;
};

struct Linear {
  int64_t in = 0;
  int64_t out = 0;
  std::vector<LinearPart> parts;  // stacked along the output axis
};

struct Norm {
  TensorRef weight = -1;
  TensorRef bias = -1;
  double eps = 0;
};

struct Mlp {
  Linear up;
  Activation activation = Activation::Identity;
  Linear down;
};

struct SelfAttention {
  int64_t heads = 0, headDim = 0;
  double scale = 1;
  Linear qkv, output;
};

struct CrossAttention {
  int64_t heads = 0, headDim = 0;
  double scale = 1;
  Linear query, kv, output;
};

struct EncoderLayer {
  SelfAttention attention;
  Norm attentionNorm;
  Mlp mlp;
  Norm mlpNorm;
};

struct GridPositions {
  TensorRef table = -1;
  int64_t prefix = 0, gridHeight = 0, gridWidth = 0;
};

struct PatchEmbedding {
  int64_t channels = 0, imageHeight = 0, imageWidth = 0, patchHeight = 0, patchWidth = 0;
  Linear projection;
  std::vector<TensorRef> prefixTokens;
  GridPositions positions;
};

struct EncoderSpec {
  int64_t hiddenSize = 0;
  PatchEmbedding embedding;
  NormPosition normPosition = NormPosition::Pre;
  std::vector<EncoderLayer> layers;
  std::optional<Norm> finalNorm;
};

struct SequentialIds {
  int64_t offset = 0;
};
struct NonPadIds {
  int32_t padTokenId = 0;
};
using PositionIds = std::variant<SequentialIds, NonPadIds>;

struct TablePositions {
  TensorRef table = -1;
  int64_t rows = 0;
  PositionIds ids;
};
struct SinusoidalPositions {
  int64_t rows = 0, zeroRow = 0;
  PositionIds ids;
};
using DecoderPositions = std::variant<TablePositions, SinusoidalPositions>;

struct ConstantRow {
  TensorRef table = -1;
  int64_t rows = 0;
};

struct DecoderEmbedding {
  TensorRef table = -1;
  int64_t width = 0;
  double scale = 1;
  std::optional<Norm> tokenNorm;
  DecoderPositions positions;
  std::vector<ConstantRow> constants;
  std::optional<Norm> norm;
  std::optional<Linear> projection;
};

struct HeadTransform {
  Linear dense;
  Activation activation = Activation::Identity;
  Norm norm;
};

struct DecoderLayer {
  SelfAttention selfAttention;
  Norm selfNorm;
  CrossAttention crossAttention;
  Norm crossNorm;
  Mlp mlp;
  Norm mlpNorm;
};

struct DecoderSpec {
  int64_t hiddenSize = 0, vocabSize = 0, maxPositions = 0, crossWidth = 0;
  DecoderEmbedding embedding;
  NormPosition normPosition = NormPosition::Pre;
  std::vector<DecoderLayer> layers;
  std::optional<Norm> finalNorm;
  std::optional<HeadTransform> headTransform;
  Linear head;
};

struct ModelSpec {
  EncoderSpec encoder;
  std::optional<Linear> projection;
  DecoderSpec decoder;
};

}  // namespace ved::spec
