#include "addon/spec_parts.h"

namespace ved::addon {
namespace {

spec::DecoderPositions readPositions(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "learned") return spec::LearnedPositions{readRef(r, "table"), r.integer("rows"), r.integer("offset")};
  if (kind == "sinusoidal")
    return spec::SinusoidalPositions{r.integer("rows"), static_cast<int32_t>(r.integer("padTokenId"))};
  rejectValue(r.path() + ".kind", "learned or sinusoidal, got " + kind);
}

}  // namespace

spec::DecoderSpec readDecoder(const Reader& r) {
  spec::DecoderSpec decoder;
  decoder.hiddenSize = r.integer("hiddenSize");
  decoder.vocabSize = r.integer("vocabSize");
  decoder.maxPositions = r.integer("maxPositions");
  decoder.crossWidth = r.integer("crossWidth");
  const Reader e = r.object("embedding");
  decoder.embedding = {readRef(e, "table"), e.number("scale"), readPositions(e.object("positions")),
                       readOptionalNorm(e, "norm")};
  decoder.normPosition = readNormPosition(r);
  for (const Reader& layer : r.objects("layers"))
    decoder.layers.push_back({readSelfAttention(layer.object("selfAttention")), readNorm(layer.object("selfNorm")),
                              readCrossAttention(layer.object("crossAttention")), readNorm(layer.object("crossNorm")),
                              readMlp(layer.object("mlp")), readNorm(layer.object("mlpNorm"))});
  decoder.finalNorm = readOptionalNorm(r, "finalNorm");
  decoder.head = readLinear(r.object("head"));
  return decoder;
}

Napi::Object SpecWriter::positions(const spec::DecoderPositions& value) const {
  Napi::Object o = make();
  if (const auto* learned = std::get_if<spec::LearnedPositions>(&value)) {
    o.Set("kind", "learned");
    set(o, "table", learned->table);
    set(o, "rows", learned->rows);
    set(o, "offset", learned->offset);
  } else {
    const auto& sinusoidal = std::get<spec::SinusoidalPositions>(value);
    o.Set("kind", "sinusoidal");
    set(o, "rows", sinusoidal.rows);
    set(o, "padTokenId", sinusoidal.padTokenId);
  }
  return o;
}

Napi::Object SpecWriter::decoder(const spec::DecoderSpec& value) const {
  Napi::Object e = make();
  set(e, "table", value.embedding.table);
  e.Set("scale", value.embedding.scale);
  e.Set("positions", positions(value.embedding.positions));
  e.Set("norm", optionalNorm(value.embedding.norm));
  Napi::Object o = make();
  set(o, "hiddenSize", value.hiddenSize);
  set(o, "vocabSize", value.vocabSize);
  set(o, "maxPositions", value.maxPositions);
  set(o, "crossWidth", value.crossWidth);
  o.Set("embedding", e);
  o.Set("normPosition", value.normPosition == spec::NormPosition::Pre ? "pre" : "post");
  o.Set("layers", list(value.layers, [this](const spec::DecoderLayer& layer) {
          Napi::Object l = make();
          l.Set("selfAttention", self(layer.selfAttention));
          l.Set("selfNorm", norm(layer.selfNorm));
          l.Set("crossAttention", cross(layer.crossAttention));
          l.Set("crossNorm", norm(layer.crossNorm));
          l.Set("mlp", mlp(layer.mlp));
          l.Set("mlpNorm", norm(layer.mlpNorm));
          return l;
        }));
  o.Set("finalNorm", optionalNorm(value.finalNorm));
  o.Set("head", linear(value.head));
  return o;
}

}  // namespace ved::addon
