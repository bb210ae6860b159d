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
enum class NormPosition : uint8_t { Pre, Post, Branch };  // Branch: encoders only

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

struct LayerNorm {
  TensorRef weight = -1;
  TensorRef bias = -1;
  double eps = 0;
};
struct RmsNorm {
  TensorRef weight = -1;
  double eps = 0;
};
using Norm = std::variant<LayerNorm, RmsNorm>;

struct Mlp {
  Linear up;
  Activation activation = Activation::Identity;
  Linear down;
};

struct SelfAttention {
  int64_t heads = 0, headDim = 0;
  double scale = 1;
  Linear qkv;
  std::optional<Linear> relative;
  Linear output;
};

struct CrossAttention {
  int64_t heads = 0, headDim = 0;
  double scale = 1;
  Linear query, kv, output;
};

enum class MlpKind : uint8_t { Plain, Gated };
struct EncoderMlp : Mlp {
  MlpKind kind = MlpKind::Plain;
};

struct GridBias {
  std::vector<TensorRef> tables;
  int64_t gridHeight = 0, gridWidth = 0;
};

struct WindowBiasTable {
  TensorRef table = -1;
};
struct WindowBiasMlp {
  Linear hidden, output;
  int64_t unit = 0;
};
using WindowBias = std::variant<WindowBiasTable, WindowBiasMlp>;

struct DotSimilarity {
  double scale = 1;
};
struct CosineSimilarity {
  TensorRef logScale = -1;
  double maxLogScale = 0;
};
using Similarity = std::variant<DotSimilarity, CosineSimilarity>;

struct AllSpan {
  double scale = 1;
  std::optional<GridBias> bias;
};
enum class SmallMap : uint8_t { Still, Moved };
struct WindowSpan {
  int64_t side = 0, shift = 0;
  SmallMap smallMap = SmallMap::Still;
  double mask = 0;
  Similarity similarity;
  WindowBias bias;
};
struct UnitSpan {
  double scale = 1;
  int64_t tokens = 0;
};
using AttentionSpan = std::variant<AllSpan, WindowSpan, UnitSpan>;

struct EncoderAttention {
  int64_t heads = 0, headDim = 0;
  AttentionSpan span;
  Linear qkv, output;
};

struct EncoderLayer {
  EncoderAttention attention;
  Norm attentionNorm;
  std::optional<TensorRef> attentionScale;
  EncoderMlp mlp;
  Norm mlpNorm;
  std::optional<TensorRef> mlpScale;
};

struct PatchMerging {
  NormPosition normPosition = NormPosition::Pre;
  Norm norm;
  Linear reduction;
};

struct StageEntry {
  Linear projection;
  int64_t poolHeight = 1, poolWidth = 1;
};

struct EncoderStage {
  int64_t width = 0;
  std::optional<StageEntry> entry;
  std::vector<EncoderLayer> layers;
  std::optional<PatchMerging> merging;
};

enum class Resample : uint8_t { Bicubic, BicubicAntialias };
struct GridPositions {
  TensorRef table = -1;
  int64_t prefix = 0, suffix = 0, gridHeight = 0, gridWidth = 0;
  Resample resample = Resample::Bicubic;
};

struct RotaryPositions {
  double base = 0;
};
struct WavePositions {
  double base = 0;
};
using EncoderPositions = std::variant<std::monostate, GridPositions, RotaryPositions, WavePositions>;

struct LearnedTokens {
  TensorRef tensor = -1;
  int64_t count = 0;
};

enum class Remainder : uint8_t { Drop, Pad };
struct OverlappingPatches {
  int64_t strideHeight = 0, strideWidth = 0, padHeight = 0, padWidth = 0;
};
using PatchTiling = std::variant<Remainder, OverlappingPatches>;

struct UnrolledCells {
  int64_t levels = 0, strideHeight = 1, strideWidth = 1;
};

struct PatchEmbedding {
  int64_t channels = 0, imageHeight = 0, imageWidth = 0, patchHeight = 0, patchWidth = 0;
  PatchTiling tiling;
  std::optional<UnrolledCells> cellOrder;
  Linear projection;
  std::optional<Norm> patchNorm;
  std::vector<LearnedTokens> prefixTokens, suffixTokens;
  EncoderPositions positions;
  std::optional<Norm> norm;
};

enum class StatesAfter : uint8_t { Layer, Stage };
struct EncoderSpec {
  int64_t hiddenSize = 0;
  PatchEmbedding embedding;
  NormPosition normPosition = NormPosition::Pre;
  std::vector<EncoderStage> stages;
  std::optional<GridPositions> layerPositions;
  std::optional<Norm> finalNorm;
  StatesAfter statesAfter = StatesAfter::Layer;
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
enum class Turns : uint8_t { Keys, KeysAndValues };
struct TurnedPositions {  // "rotary"
  TensorRef table = -1;
  int64_t rows = 0;
  Turns turns = Turns::Keys;
  PositionIds ids;
};
using DecoderPositions = std::variant<TablePositions, SinusoidalPositions, TurnedPositions>;

struct ConstantRow {
  TensorRef table = -1;
  int64_t rows = 0;
};

struct BesideRow {
  TensorRef table = -1;
  int64_t rows = 0, width = 0;
};
struct TokenMap {
  std::vector<BesideRow> beside;
  Linear map;
};

struct DecoderEmbedding {
  TensorRef table = -1;
  int64_t width = 0;
  double scale = 1;
  std::optional<TokenMap> tokenMap;
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

enum class AdapterResidual : uint8_t { Plain, Normed };
struct Adapter {
  std::optional<Norm> norm;
  AdapterResidual residual = AdapterResidual::Plain;
  Mlp mlp;
};

struct DecoderLayer {
  std::variant<SelfAttention, CrossAttention> selfAttention;  // CrossAttention: reads the image, too
  Norm selfNorm;
  CrossAttention crossAttention;
  Norm crossNorm;
  Mlp mlp;
  std::optional<Adapter> adapter;
  Norm mlpNorm;
};

struct NgramStreams {
  int64_t count = 0;
  TensorRef table = -1;
  int64_t buckets = 0, maxDistance = 0;
};

struct DecoderSpec {
  int64_t hiddenSize = 0, vocabSize = 0, maxPositions = 0, crossWidth = 0;
  std::optional<NgramStreams> streams;
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
