#include "addon/spec_parts.h"

namespace ved::addon {
namespace {

// Names of an enum's values, in their order.
template <typename Enum, size_t N>
Enum readEnum(const Reader& r, const char* name, const char* const (&labels)[N]) {
  const std::string text = r.string(name);
  std::string known;
  for (size_t i = 0; i < N; ++i) {
    if (text == labels[i]) return static_cast<Enum>(i);
    known += (i ? (i + 1 == N ? " or " : ", ") : "") + std::string(labels[i]);
  }
  rejectValue(r.path() + "." + name, known + ", got " + text);
}

constexpr const char* kNormPositions[] = {"pre", "post", "branch"};
constexpr const char* kMergingPositions[] = {"pre", "post"};
constexpr const char* kMlpKinds[] = {"plain", "gated"};
constexpr const char* kResamples[] = {"bicubic", "bicubicAntialias"};
constexpr const char* kTilings[] = {"drop", "pad", "overlap"};
constexpr const char* kStatesAfter[] = {"layer", "stage"};
constexpr const char* kSmallMaps[] = {"still", "moved"};
constexpr const char* kSpans[] = {"all", "window", "unit"};
constexpr const char* kSimilarities[] = {"dot", "cosine"};
constexpr const char* kWindowBiases[] = {"table", "mlp"};
constexpr const char* kPositions[] = {"none", "grid", "rotary", "waves"};

template <typename Enum, size_t N>
const char* label(Enum value, const char* const (&labels)[N]) {
  return labels[static_cast<size_t>(value)];
}

std::optional<spec::TensorRef> readOptionalRef(const Reader& r, const char* name) {
  if (!r.has(name)) return std::nullopt;
  return readRef(r, name);
}

spec::AttentionSpan readSpan(const Reader& r) {
  const int kind = readEnum<int>(r, "kind", kSpans);
  if (kind == 2) return spec::UnitSpan{r.number("scale"), r.integer("tokens")};
  if (kind == 0) {
    spec::AllSpan all{r.number("scale"), std::nullopt};
    if (r.has("bias")) {
      const Reader b = r.object("bias");
      all.bias = {b.ids("tables"), b.integer("gridHeight"), b.integer("gridWidth")};
    }
    return all;
  }
  spec::WindowSpan window{r.integer("side"),
                          r.integer("shift"),
                          readEnum<spec::SmallMap>(r, "smallMap", kSmallMaps),
                          r.number("mask"),
                          {},
                          {}};
  const Reader s = r.object("similarity");
  if (readEnum<int>(s, "kind", kSimilarities) == 0)
    window.similarity = spec::DotSimilarity{s.number("scale")};
  else
    window.similarity = spec::CosineSimilarity{readRef(s, "logScale"), s.number("maxLogScale")};
  const Reader b = r.object("bias");
  if (readEnum<int>(b, "kind", kWindowBiases) == 0)
    window.bias = spec::WindowBiasTable{readRef(b, "table")};
  else
    window.bias =
        spec::WindowBiasMlp{readLinear(b.object("hidden")), readLinear(b.object("output")), b.integer("unit")};
  return window;
}

spec::EncoderAttention readAttention(const Reader& r) {
  return {r.integer("heads"), r.integer("headDim"), readSpan(r.object("span")), readLinear(r.object("qkv")),
          readLinear(r.object("output"))};
}

spec::EncoderMlp readEncoderMlp(const Reader& r) {
  spec::EncoderMlp mlp;
  static_cast<spec::Mlp&>(mlp) = readMlp(r);
  mlp.kind = readEnum<spec::MlpKind>(r, "kind", kMlpKinds);
  return mlp;
}

spec::EncoderStage readStage(const Reader& r) {
  spec::EncoderStage stage;
  stage.width = r.integer("width");
  if (r.has("entry")) {
    const Reader e = r.object("entry");
    stage.entry = {readLinear(e.object("projection")), e.integer("poolHeight"), e.integer("poolWidth")};
  }
  for (const Reader& layer : r.objects("layers"))
    stage.layers.push_back({readAttention(layer.object("attention")), readNorm(layer.object("attentionNorm")),
                            readOptionalRef(layer, "attentionScale"), readEncoderMlp(layer.object("mlp")),
                            readNorm(layer.object("mlpNorm")), readOptionalRef(layer, "mlpScale")});
  if (r.has("merging")) {
    const Reader m = r.object("merging");
    stage.merging = {readEnum<spec::NormPosition>(m, "normPosition", kMergingPositions), readNorm(m.object("norm")),
                     readLinear(m.object("reduction"))};
  }
  return stage;
}

spec::GridPositions readGrid(const Reader& p) {
  return {readRef(p, "table"),     p.integer("prefix"),    p.integer("suffix"),
          p.integer("gridHeight"), p.integer("gridWidth"), readEnum<spec::Resample>(p, "resample", kResamples)};
}

spec::EncoderPositions readPositions(const Reader& p) {
  switch (readEnum<int>(p, "kind", kPositions)) {
    case 1:
      return readGrid(p);
    case 2:
      return spec::RotaryPositions{p.number("base")};
    case 3:
      return spec::WavePositions{p.number("base")};
    default:
      return std::monostate{};
  }
}

spec::PatchTiling readTiling(const Reader& r) {
  const int kind = readEnum<int>(r, "kind", kTilings);
  if (kind < 2) return static_cast<spec::Remainder>(kind);
  return spec::OverlappingPatches{r.integer("strideHeight"), r.integer("strideWidth"), r.integer("padHeight"),
                                  r.integer("padWidth")};
}

spec::PatchEmbedding readEmbedding(const Reader& e) {
  spec::PatchEmbedding embedding;
  embedding.channels = e.integer("channels");
  embedding.imageHeight = e.integer("imageHeight");
  embedding.imageWidth = e.integer("imageWidth");
  embedding.patchHeight = e.integer("patchHeight");
  embedding.patchWidth = e.integer("patchWidth");
  embedding.tiling = readTiling(e.object("tiling"));
  if (e.has("cellOrder")) {
    const Reader order = e.object("cellOrder");
    embedding.cellOrder = {order.integer("levels"), order.integer("strideHeight"), order.integer("strideWidth")};
  }
  embedding.projection = readLinear(e.object("projection"));
  embedding.patchNorm = readOptionalNorm(e, "patchNorm");
  for (const Reader& tokens : e.objects("prefixTokens"))
    embedding.prefixTokens.push_back({readRef(tokens, "tensor"), tokens.integer("count")});
  for (const Reader& tokens : e.objects("suffixTokens"))
    embedding.suffixTokens.push_back({readRef(tokens, "tensor"), tokens.integer("count")});
  embedding.positions = readPositions(e.object("positions"));
  embedding.norm = readOptionalNorm(e, "norm");
  return embedding;
}

}  // namespace

spec::EncoderSpec readEncoder(const Reader& r) {
  spec::EncoderSpec encoder;
  encoder.hiddenSize = r.integer("hiddenSize");
  encoder.embedding = readEmbedding(r.object("embedding"));
  encoder.normPosition = readEnum<spec::NormPosition>(r, "normPosition", kNormPositions);
  for (const Reader& stage : r.objects("stages")) encoder.stages.push_back(readStage(stage));
  if (r.has("layerPositions")) {
    const Reader positions = r.object("layerPositions");
    if (positions.string("kind") != "grid")
      rejectValue(positions.path() + ".kind", "grid, got " + positions.string("kind"));
    encoder.layerPositions = readGrid(positions);
  }
  encoder.finalNorm = readOptionalNorm(r, "finalNorm");
  encoder.statesAfter = readEnum<spec::StatesAfter>(r, "statesAfter", kStatesAfter);
  return encoder;
}

Napi::Value SpecWriter::optionalRef(const std::optional<spec::TensorRef>& value) const {
  return value ? Napi::Value(Napi::Number::New(env_, *value)) : env_.Null();
}

Napi::Object SpecWriter::span(const spec::AttentionSpan& value) const {
  Napi::Object o = make();
  if (const auto* all = std::get_if<spec::AllSpan>(&value)) {
    o.Set("kind", "all");
    o.Set("scale", all->scale);
    if (!all->bias) {
      o.Set("bias", env_.Null());
      return o;
    }
    Napi::Object bias = make();
    bias.Set("tables", list(all->bias->tables, [this](spec::TensorRef ref) { return Napi::Number::New(env_, ref); }));
    set(bias, "gridHeight", all->bias->gridHeight);
    set(bias, "gridWidth", all->bias->gridWidth);
    o.Set("bias", bias);
    return o;
  }
  if (const auto* unit = std::get_if<spec::UnitSpan>(&value)) {
    o.Set("kind", "unit");
    o.Set("scale", unit->scale);
    set(o, "tokens", unit->tokens);
    return o;
  }
  const auto& window = std::get<spec::WindowSpan>(value);
  o.Set("kind", "window");
  set(o, "side", window.side);
  set(o, "shift", window.shift);
  o.Set("smallMap", label(window.smallMap, kSmallMaps));
  o.Set("mask", window.mask);
  Napi::Object similarity = make();
  similarity.Set("kind", kSimilarities[window.similarity.index()]);
  if (const auto* cosine = std::get_if<spec::CosineSimilarity>(&window.similarity)) {
    set(similarity, "logScale", cosine->logScale);
    similarity.Set("maxLogScale", cosine->maxLogScale);
  } else {
    similarity.Set("scale", std::get<spec::DotSimilarity>(window.similarity).scale);
  }
  o.Set("similarity", similarity);
  Napi::Object bias = make();
  bias.Set("kind", kWindowBiases[window.bias.index()]);
  if (const auto* mlp = std::get_if<spec::WindowBiasMlp>(&window.bias)) {
    bias.Set("hidden", linear(mlp->hidden));
    bias.Set("output", linear(mlp->output));
    set(bias, "unit", mlp->unit);
  } else {
    set(bias, "table", std::get<spec::WindowBiasTable>(window.bias).table);
  }
  o.Set("bias", bias);
  return o;
}

Napi::Object SpecWriter::encoderLayer(const spec::EncoderLayer& layer) const {
  Napi::Object attention = make();
  set(attention, "heads", layer.attention.heads);
  set(attention, "headDim", layer.attention.headDim);
  attention.Set("span", span(layer.attention.span));
  attention.Set("qkv", linear(layer.attention.qkv));
  attention.Set("output", linear(layer.attention.output));
  Napi::Object encoderMlp = mlp(layer.mlp);
  encoderMlp.Set("kind", label(layer.mlp.kind, kMlpKinds));
  Napi::Object o = make();
  o.Set("attention", attention);
  o.Set("attentionNorm", norm(layer.attentionNorm));
  o.Set("attentionScale", optionalRef(layer.attentionScale));
  o.Set("mlp", encoderMlp);
  o.Set("mlpNorm", norm(layer.mlpNorm));
  o.Set("mlpScale", optionalRef(layer.mlpScale));
  return o;
}

Napi::Object SpecWriter::stage(const spec::EncoderStage& value) const {
  Napi::Object o = make();
  set(o, "width", value.width);
  o.Set("entry", env_.Null());
  if (value.entry) {
    Napi::Object entry = make();
    entry.Set("projection", linear(value.entry->projection));
    set(entry, "poolHeight", value.entry->poolHeight);
    set(entry, "poolWidth", value.entry->poolWidth);
    o.Set("entry", entry);
  }
  o.Set("layers", list(value.layers, [this](const spec::EncoderLayer& layer) { return encoderLayer(layer); }));
  if (!value.merging) {
    o.Set("merging", env_.Null());
    return o;
  }
  Napi::Object merging = make();
  merging.Set("normPosition", label(value.merging->normPosition, kMergingPositions));
  merging.Set("norm", norm(value.merging->norm));
  merging.Set("reduction", linear(value.merging->reduction));
  o.Set("merging", merging);
  return o;
}

Napi::Object SpecWriter::grid(const spec::GridPositions& value) const {
  Napi::Object o = make();
  o.Set("kind", "grid");
  set(o, "table", value.table);
  set(o, "prefix", value.prefix);
  set(o, "suffix", value.suffix);
  set(o, "gridHeight", value.gridHeight);
  set(o, "gridWidth", value.gridWidth);
  o.Set("resample", label(value.resample, kResamples));
  return o;
}

Napi::Object SpecWriter::embedding(const spec::PatchEmbedding& value) const {
  Napi::Object positions = make();
  positions.Set("kind", kPositions[value.positions.index()]);
  if (const auto* table = std::get_if<spec::GridPositions>(&value.positions))
    positions = grid(*table);
  else if (const auto* rotary = std::get_if<spec::RotaryPositions>(&value.positions))
    positions.Set("base", rotary->base);
  else if (const auto* waves = std::get_if<spec::WavePositions>(&value.positions))
    positions.Set("base", waves->base);
  const auto learned = [this](const spec::LearnedTokens& tokens) {
    Napi::Object t = make();
    set(t, "tensor", tokens.tensor);
    set(t, "count", tokens.count);
    return t;
  };
  Napi::Object o = make();
  set(o, "channels", value.channels);
  set(o, "imageHeight", value.imageHeight);
  set(o, "imageWidth", value.imageWidth);
  set(o, "patchHeight", value.patchHeight);
  set(o, "patchWidth", value.patchWidth);
  Napi::Object tiling = make();
  if (const auto* overlap = std::get_if<spec::OverlappingPatches>(&value.tiling)) {
    tiling.Set("kind", "overlap");
    set(tiling, "strideHeight", overlap->strideHeight);
    set(tiling, "strideWidth", overlap->strideWidth);
    set(tiling, "padHeight", overlap->padHeight);
    set(tiling, "padWidth", overlap->padWidth);
  } else {
    tiling.Set("kind", label(std::get<spec::Remainder>(value.tiling), kTilings));
  }
  o.Set("tiling", tiling);
  o.Set("cellOrder", env_.Null());
  if (value.cellOrder) {
    Napi::Object order = make();
    set(order, "levels", value.cellOrder->levels);
    set(order, "strideHeight", value.cellOrder->strideHeight);
    set(order, "strideWidth", value.cellOrder->strideWidth);
    o.Set("cellOrder", order);
  }
  o.Set("projection", linear(value.projection));
  o.Set("patchNorm", optionalNorm(value.patchNorm));
  o.Set("prefixTokens", list(value.prefixTokens, learned));
  o.Set("suffixTokens", list(value.suffixTokens, learned));
  o.Set("positions", positions);
  o.Set("norm", optionalNorm(value.norm));
  return o;
}

Napi::Object SpecWriter::encoder(const spec::EncoderSpec& value) const {
  Napi::Object o = make();
  set(o, "hiddenSize", value.hiddenSize);
  o.Set("embedding", embedding(value.embedding));
  o.Set("normPosition", label(value.normPosition, kNormPositions));
  o.Set("stages", list(value.stages, [this](const spec::EncoderStage& s) { return stage(s); }));
  o.Set("layerPositions", value.layerPositions ? Napi::Value(grid(*value.layerPositions)) : env_.Null());
  o.Set("finalNorm", optionalNorm(value.finalNorm));
  o.Set("statesAfter", label(value.statesAfter, kStatesAfter));
  return o;
}

}  // namespace ved::addon
