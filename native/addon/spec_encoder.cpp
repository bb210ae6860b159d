#include "addon/spec_parts.h"

namespace ved::addon {

spec::EncoderSpec readEncoder(const Reader& r) {
  spec::EncoderSpec encoder;
  encoder.hiddenSize = r.integer("hiddenSize");
  const Reader e = r.object("embedding");
  spec::PatchEmbedding& embedding = encoder.embedding;
  embedding.channels = e.integer("channels");
  embedding.imageHeight = e.integer("imageHeight");
  embedding.imageWidth = e.integer("imageWidth");
  embedding.patchHeight = e.integer("patchHeight");
  embedding.patchWidth = e.integer("patchWidth");
  embedding.projection = readLinear(e.object("projection"));
  embedding.prefixTokens = e.ids("prefixTokens");
  const Reader p = e.object("positions");
  if (p.string("kind") != "grid") rejectValue(p.path() + ".kind", "grid");
  embedding.positions = {readRef(p, "table"), p.integer("prefix"), p.integer("gridHeight"), p.integer("gridWidth")};
  encoder.normPosition = readNormPosition(r);
  for (const Reader& layer : r.objects("layers"))
    encoder.layers.push_back({readSelfAttention(layer.object("attention")), readNorm(layer.object("attentionNorm")),
                              readMlp(layer.object("mlp")), readNorm(layer.object("mlpNorm"))});
  encoder.finalNorm = readOptionalNorm(r, "finalNorm");
  return encoder;
}

Napi::Object SpecWriter::encoder(const spec::EncoderSpec& value) const {
  const spec::PatchEmbedding& embedding = value.embedding;
  Napi::Object positions = make();
  positions.Set("kind", "grid");
  set(positions, "table", embedding.positions.table);
  set(positions, "prefix", embedding.positions.prefix);
  set(positions, "gridHeight", embedding.positions.gridHeight);
  set(positions, "gridWidth", embedding.positions.gridWidth);
  Napi::Object e = make();
  set(e, "channels", embedding.channels);
  set(e, "imageHeight", embedding.imageHeight);
  set(e, "imageWidth", embedding.imageWidth);
  set(e, "patchHeight", embedding.patchHeight);
  set(e, "patchWidth", embedding.patchWidth);
  e.Set("projection", linear(embedding.projection));
  e.Set("prefixTokens",
        list(embedding.prefixTokens, [this](spec::TensorRef ref) { return Napi::Number::New(env_, ref); }));
  e.Set("positions", positions);
  Napi::Object o = make();
  set(o, "hiddenSize", value.hiddenSize);
  o.Set("embedding", e);
  o.Set("normPosition", value.normPosition == spec::NormPosition::Pre ? "pre" : "post");
  o.Set("layers", list(value.layers, [this](const spec::EncoderLayer& layer) {
          Napi::Object l = make();
          l.Set("attention", self(layer.attention));
          l.Set("attentionNorm", norm(layer.attentionNorm));
          l.Set("mlp", mlp(layer.mlp));
          l.Set("mlpNorm", norm(layer.mlpNorm));
          return l;
        }));
  o.Set("finalNorm", optionalNorm(value.finalNorm));
  return o;
}

}  // namespace ved::addon
