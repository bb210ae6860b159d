#include "addon/spec_parts.h"

namespace ved::addon {
namespace {

spec::PositionIds readPositionIds(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "sequential") return spec::SequentialIds{r.integer("offset")};
  if (kind == "nonPad") return spec::NonPadIds{static_cast<int32_t>(r.integer("padTokenId"))};
  rejectValue(r.path() + ".kind", "sequential or nonPad, got " + kind);
}

spec::DecoderPositions readPositions(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "table")
    return spec::TablePositions{readRef(r, "table"), r.integer("rows"), readPositionIds(r.object("ids"))};
  if (kind == "sinusoidal")
    return spec::SinusoidalPositions{r.integer("rows"), r.integer("zeroRow"), readPositionIds(r.object("ids"))};
  rejectValue(r.path() + ".kind", "table or sinusoidal, got " + kind);
}

std::optional<spec::Linear> readOptionalLinear(const Reader& r, const char* name) {
  if (!r.has(name)) return std::nullopt;
  return readLinear(r.object(name));
}

spec::DecoderEmbedding readEmbedding(const Reader& r) {
  spec::DecoderEmbedding embedding;
  embedding.table = readRef(r, "table");
  embedding.width = r.integer("width");
  embedding.scale = r.number("scale");
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
  decoder.embedding = readEmbedding(r.object("embedding"));
  decoder.normPosition = readNormPosition(r);
  for (const Reader& layer : r.objects("layers"))
    decoder.layers.push_back({readTextAttention(layer.object("selfAttention")), readNorm(layer.object("selfNorm")),
                              readCrossAttention(layer.object("crossAttention")), readNorm(layer.object("crossNorm")),
                              readMlp(layer.object("mlp")), readNorm(layer.object("mlpNorm"))});
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
  } else {
    const auto& sinusoidal = std::get<spec::SinusoidalPositions>(value);
    o.Set("kind", "sinusoidal");
    set(o, "rows", sinusoidal.rows);
    set(o, "zeroRow", sinusoidal.zeroRow);
    o.Set("ids", positionIds(sinusoidal.ids));
  }
  return o;
}

Napi::Object SpecWriter::decoderEmbedding(const spec::DecoderEmbedding& value) const {
  Napi::Object o = make();
  set(o, "table", value.table);
  set(o, "width", value.width);
  o.Set("scale", value.scale);
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
  o.Set("embedding", decoderEmbedding(value.embedding));
  o.Set("normPosition", value.normPosition == spec::NormPosition::Pre ? "pre" : "post");
  o.Set("layers", list(value.layers, [this](const spec::DecoderLayer& layer) {
          Napi::Object l = make();
          l.Set("selfAttention", textAttention(layer.selfAttention));
          l.Set("selfNorm", norm(layer.selfNorm));
          l.Set("crossAttention", cross(layer.crossAttention));
          l.Set("crossNorm", norm(layer.crossNorm));
          l.Set("mlp", mlp(layer.mlp));
          l.Set("mlpNorm", norm(layer.mlpNorm));
          return l;
        }));
  o.Set("finalNorm", optionalNorm(value.finalNorm));
  o.Set("headTransform", headTransform(value.headTransform));
  o.Set("head", linear(value.head));
  return o;
}

}  // namespace ved::addon
