#include "addon/spec_parts.h"

namespace ved::addon {
namespace {

spec::PositionIds readPositionIds(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "sequential") return spec::SequentialIds{r.integer("offset")};
  if (kind == "nonPad") return spec::NonPadIds{static_cast<int32_t>(r.integer("padTokenId"))};
  rejectValue(r.path() + ".kind", "sequential or nonPad, got " + kind);
}

spec::Turns readTurns(const Reader& r) {
  const std::string turns = r.string("turns");
  if (turns == "keys") return spec::Turns::Keys;
  if (turns == "keysAndValues") return spec::Turns::KeysAndValues;
  rejectValue(r.path() + ".turns", "keys or keysAndValues, got " + turns);
}

spec::DecoderPositions readPositions(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "table")
    return spec::TablePositions{readRef(r, "table"), r.integer("rows"), readPositionIds(r.object("ids"))};
  if (kind == "sinusoidal")
    return spec::SinusoidalPositions{r.integer("rows"), r.integer("zeroRow"), readPositionIds(r.object("ids"))};
  if (kind == "rotary")
    return spec::TurnedPositions{readRef(r, "table"), r.integer("rows"), readTurns(r),
                                 readPositionIds(r.object("ids"))};
  rejectValue(r.path() + ".kind", "table, sinusoidal or rotary, got " + kind);
}

std::optional<spec::TokenMap> readTokenMap(const Reader& r) {
  if (!r.has("tokenMap")) return std::nullopt;
  const Reader t = r.object("tokenMap");
  spec::TokenMap map;
  for (const Reader& row : t.objects("beside"))
    map.beside.push_back({readRef(row, "table"), row.integer("rows"), row.integer("width")});
  map.map = readLinear(t.object("map"));
  return map;
}

std::optional<spec::Adapter> readAdapter(const Reader& r) {
  if (!r.has("adapter")) return std::nullopt;
  const Reader a = r.object("adapter");
  const std::string residual = a.string("residual");
  if (residual != "plain" && residual != "normed")
    rejectValue(a.path() + ".residual", "plain or normed, got " + residual);
  return spec::Adapter{readOptionalNorm(a, "norm"),
                       residual == "plain" ? spec::AdapterResidual::Plain : spec::AdapterResidual::Normed,
                       readMlp(a.object("mlp"))};
}

std::optional<spec::NgramStreams> readStreams(const Reader& r) {
  if (!r.has("streams")) return std::nullopt;
  const Reader s = r.object("streams");
  return spec::NgramStreams{s.integer("count"), readRef(s, "table"), s.integer("buckets"), s.integer("maxDistance")};
}

spec::DecoderEmbedding readEmbedding(const Reader& r) {
  spec::DecoderEmbedding embedding;
  embedding.table = readRef(r, "table");
  embedding.width = r.integer("width");
  embedding.scale = r.number("scale");
  embedding.tokenMap = readTokenMap(r);
  embedding.tokenNorm = readOptionalNorm(r, "tokenNorm");
  embedding.positions = readPositions(r.object("positions"));
  for (const Reader& row : r.objects("constants"))
    embedding.constants.push_back({readRef(row, "table"), row.integer("rows")});
  embedding.norm = readOptionalNorm(r, "norm");
  embedding.projection = readOptionalLinear(r, "projection");
  return embedding;
}

std::optional<spec::HeadTransform> readHeadTransform(const Reader& r) {
  if (!r.has("headTransform")) return std::nullopt;
  const Reader t = r.object("headTransform");
  return spec::HeadTransform{readLinear(t.object("dense")), readActivation(t, "activation"),
                             readNorm(t.object("norm"))};
}

std::variant<spec::SelfAttention, spec::CrossAttention> readTextAttention(const Reader& r) {
  const std::string reads = r.string("reads");
  if (reads == "text") return readSelfAttention(r);
  if (reads == "image") return readCrossAttention(r);
  rejectValue(r.path() + ".reads", "text or image, got " + reads);
}

}  // namespace

spec::DecoderSpec readDecoder(const Reader& r) {
  spec::DecoderSpec decoder;
  decoder.hiddenSize = r.integer("hiddenSize");
  decoder.vocabSize = r.integer("vocabSize");
  decoder.maxPositions = r.integer("maxPositions");
  decoder.crossWidth = r.integer("crossWidth");
  decoder.streams = readStreams(r);
  decoder.embedding = readEmbedding(r.object("embedding"));
  decoder.normPosition = readNormPosition(r);
  for (const Reader& layer : r.objects("layers"))
    decoder.layers.push_back({readTextAttention(layer.object("selfAttention")), readNorm(layer.object("selfNorm")),
                              readCrossAttention(layer.object("crossAttention")), readNorm(layer.object("crossNorm")),
                              readMlp(layer.object("mlp")), readAdapter(layer), readNorm(layer.object("mlpNorm"))});
  decoder.finalNorm = readOptionalNorm(r, "finalNorm");
  decoder.headTransform = readHeadTransform(r);
  decoder.head = readLinear(r.object("head"));
  return decoder;
}

Napi::Object SpecWriter::positionIds(const spec::PositionIds& value) const {
  Napi::Object o = make();
  if (const auto* sequential = std::get_if<spec::SequentialIds>(&value)) {
    o.Set("kind", "sequential");
    set(o, "offset", sequential->offset);
  } else {
    o.Set("kind", "nonPad");
    set(o, "padTokenId", std::get<spec::NonPadIds>(value).padTokenId);
  }
  return o;
}

Napi::Object SpecWriter::positions(const spec::DecoderPositions& value) const {
  Napi::Object o = make();
  if (const auto* stored = std::get_if<spec::TablePositions>(&value)) {
    o.Set("kind", "table");
    set(o, "table", stored->table);
    set(o, "rows", stored->rows);
    o.Set("ids", positionIds(stored->ids));
  } else if (const auto* sinusoidal = std::get_if<spec::SinusoidalPositions>(&value)) {
    o.Set("kind", "sinusoidal");
    set(o, "rows", sinusoidal->rows);
    set(o, "zeroRow", sinusoidal->zeroRow);
    o.Set("ids", positionIds(sinusoidal->ids));
  } else {
    const auto& turned = std::get<spec::TurnedPositions>(value);
    o.Set("kind", "rotary");
    set(o, "table", turned.table);
    set(o, "rows", turned.rows);
    o.Set("turns", turned.turns == spec::Turns::Keys ? "keys" : "keysAndValues");
    o.Set("ids", positionIds(turned.ids));
  }
  return o;
}

Napi::Value SpecWriter::tokenMap(const std::optional<spec::TokenMap>& value) const {
  if (!value) return env_.Null();
  Napi::Object o = make();
  o.Set("beside", list(value->beside, [this](const spec::BesideRow& row) {
          Napi::Object b = make();
          set(b, "table", row.table);
          set(b, "rows", row.rows);
          set(b, "width", row.width);
          return b;
        }));
  o.Set("map", linear(value->map));
  return o;
}

Napi::Value SpecWriter::adapter(const std::optional<spec::Adapter>& value) const {
  if (!value) return env_.Null();
  Napi::Object o = make();
  o.Set("norm", optionalNorm(value->norm));
  o.Set("residual", value->residual == spec::AdapterResidual::Plain ? "plain" : "normed");
  o.Set("mlp", mlp(value->mlp));
  return o;
}

Napi::Value SpecWriter::streams(const std::optional<spec::NgramStreams>& value) const {
  if (!value) return env_.Null();
  Napi::Object o = make();
  set(o, "count", value->count);
  set(o, "table", value->table);
  set(o, "buckets", value->buckets);
  set(o, "maxDistance", value->maxDistance);
  return o;
}

Napi::Object SpecWriter::decoderEmbedding(const spec::DecoderEmbedding& value) const {
  Napi::Object o = make();
  set(o, "table", value.table);
  set(o, "width", value.width);
  o.Set("scale", value.scale);
  o.Set("tokenMap", tokenMap(value.tokenMap));
  o.Set("tokenNorm", optionalNorm(value.tokenNorm));
  o.Set("positions", positions(value.positions));
  o.Set("constants", list(value.constants, [this](const spec::ConstantRow& row) {
          Napi::Object c = make();
          set(c, "table", row.table);
          set(c, "rows", row.rows);
          return c;
        }));
  o.Set("norm", optionalNorm(value.norm));
  o.Set("projection", value.projection ? Napi::Value(linear(*value.projection)) : env_.Null());
  return o;
}

Napi::Value SpecWriter::headTransform(const std::optional<spec::HeadTransform>& value) const {
  if (!value) return env_.Null();
  Napi::Object o = make();
  o.Set("dense", linear(value->dense));
  o.Set("activation", activationName(value->activation));
  o.Set("norm", norm(value->norm));
  return o;
}

Napi::Object SpecWriter::textAttention(const std::variant<spec::SelfAttention, spec::CrossAttention>& value) const {
  const auto* own = std::get_if<spec::SelfAttention>(&value);
  Napi::Object o = own ? self(*own) : cross(std::get<spec::CrossAttention>(value));
  o.Set("reads", own ? "text" : "image");
  return o;
}

Napi::Object SpecWriter::decoder(const spec::DecoderSpec& value) const {
  Napi::Object o = make();
  set(o, "hiddenSize", value.hiddenSize);
  set(o, "vocabSize", value.vocabSize);
  set(o, "maxPositions", value.maxPositions);
  set(o, "crossWidth", value.crossWidth);
  o.Set("streams", streams(value.streams));
  o.Set("embedding", decoderEmbedding(value.embedding));
  o.Set("normPosition", value.normPosition == spec::NormPosition::Pre ? "pre" : "post");
  o.Set("layers", list(value.layers, [this](const spec::DecoderLayer& layer) {
          Napi::Object l = make();
          l.Set("selfAttention", textAttention(layer.selfAttention));
          l.Set("selfNorm", norm(layer.selfNorm));
          l.Set("crossAttention", cross(layer.crossAttention));
          l.Set("crossNorm", norm(layer.crossNorm));
          l.Set("mlp", mlp(layer.mlp));
          l.Set("adapter", adapter(layer.adapter));
          l.Set("mlpNorm", norm(layer.mlpNorm));
          return l;
        }));
  o.Set("finalNorm", optionalNorm(value.finalNorm));
  o.Set("headTransform", headTransform(value.headTransform));
  o.Set("head", linear(value.head));
  return o;
}

}  // namespace ved::addon
