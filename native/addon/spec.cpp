#include "addon/spec.h"

#include <array>
#include <utility>

namespace ved::addon {
namespace {

constexpr std::array<std::pair<const char*, Activation>, 12> kActivations{{
    {"identity", Activation::Identity},
    {"gelu", Activation::Gelu},
    {"geluTanh", Activation::GeluTanh},
    {"quickGelu", Activation::QuickGelu},
    {"relu", Activation::Relu},
    {"relu2", Activation::Relu2},
    {"relu6", Activation::Relu6},
    {"leakyRelu", Activation::LeakyRelu},
    {"silu", Activation::Silu},
    {"sigmoid", Activation::Sigmoid},
    {"tanh", Activation::Tanh},
    {"mish", Activation::Mish},
}};

Activation readActivation(const Reader& r, const char* name) {
  const std::string text = r.string(name);
  for (const auto& [label, activation] : kActivations)
    if (text == label) return activation;
  rejectValue(r.path() + "." + name, "a known activation, got " + text);
}

const char* activationName(Activation activation) {
  for (const auto& [label, value] : kActivations)
    if (value == activation) return label;
  return "identity";
}

spec::TensorRef readRef(const Reader& r, const char* name) { return static_cast<spec::TensorRef>(r.integer(name)); }

spec::Linear readLinear(const Reader& r) {
  spec::Linear linear;
  linear.in = r.integer("in");
  linear.out = r.integer("out");
  for (const Reader& p : r.objects("parts")) {
    spec::LinearPart part;
    part.weight = readRef(p, "weight");
    if (p.has("bias")) part.bias = readRef(p, "bias");
    const std::string layout = p.string("layout");
    if (layout != "outIn" && layout != "inOut") rejectValue(p.path() + ".layout", "outIn or inOut, got " + layout);
    part.layout = layout == "outIn" ? spec::LinearLayout::OutIn : spec::LinearLayout::InOut;
    part.out = p.integer("out");
    linear.parts.push_back(part);
  }
  return linear;
}

spec::Norm readNorm(const Reader& r) { return {readRef(r, "weight"), readRef(r, "bias"), r.number("eps")}; }

std::optional<spec::Norm> readOptionalNorm(const Reader& r, const char* name) {
  if (!r.has(name)) return std::nullopt;
  return readNorm(r.object(name));
}

spec::Mlp readMlp(const Reader& r) {
  return {readLinear(r.object("up")), readActivation(r, "activation"), readLinear(r.object("down"))};
}

spec::SelfAttention readSelfAttention(const Reader& r) {
  return {r.integer("heads"), r.integer("headDim"), r.number("scale"), readLinear(r.object("qkv")),
          readLinear(r.object("output"))};
}

spec::CrossAttention readCrossAttention(const Reader& r) {
  return {r.integer("heads"),         r.integer("headDim"),          r.number("scale"), readLinear(r.object("query")),
          readLinear(r.object("kv")), readLinear(r.object("output"))};
}

spec::NormPosition readNormPosition(const Reader& r) {
  const std::string text = r.string("normPosition");
  if (text != "pre" && text != "post") rejectValue(r.path() + ".normPosition", "pre or post, got " + text);
  return text == "pre" ? spec::NormPosition::Pre : spec::NormPosition::Post;
}

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

spec::DecoderPositions readPositions(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "learned") return spec::LearnedPositions{readRef(r, "table"), r.integer("rows"), r.integer("offset")};
  if (kind == "sinusoidal")
    return spec::SinusoidalPositions{r.integer("rows"), static_cast<int32_t>(r.integer("padTokenId"))};
  rejectValue(r.path() + ".kind", "learned or sinusoidal, got " + kind);
}

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

DType readDType(const Reader& r) {
  const std::string text = r.string("dtype");
  if (text == "F32") return DType::F32;
  if (text == "F16") return DType::F16;
  if (text == "BF16") return DType::BF16;
  rejectValue(r.path() + ".dtype", "F32, F16 or BF16, got " + text);
}

// ---- the way back --------------------------------------------------------------------------------------------------

class Writer {
 public:
  explicit Writer(Napi::Env env) : env_(env) {}

  Napi::Object linear(const spec::Linear& value) const {
    Napi::Object o = make();
    set(o, "in", value.in);
    set(o, "out", value.out);
    o.Set("parts", list(value.parts, [this](const spec::LinearPart& part) {
            Napi::Object p = make();
            set(p, "weight", part.weight);
            p.Set("bias", part.bias ? Napi::Value(Napi::Number::New(env_, *part.bias)) : env_.Null());
            p.Set("layout", part.layout == spec::LinearLayout::OutIn ? "outIn" : "inOut");
            set(p, "out", part.out);
            return p;
          }));
    return o;
  }

  Napi::Object norm(const spec::Norm& value) const {
    Napi::Object o = make();
    set(o, "weight", value.weight);
    set(o, "bias", value.bias);
    o.Set("eps", value.eps);
    return o;
  }

  Napi::Value optionalNorm(const std::optional<spec::Norm>& value) const {
    return value ? Napi::Value(norm(*value)) : env_.Null();
  }

  Napi::Object mlp(const spec::Mlp& value) const {
    Napi::Object o = make();
    o.Set("up", linear(value.up));
    o.Set("activation", activationName(value.activation));
    o.Set("down", linear(value.down));
    return o;
  }

  template <typename Attention>
  Napi::Object heads(const Attention& value) const {
    Napi::Object o = make();
    set(o, "heads", value.heads);
    set(o, "headDim", value.headDim);
    o.Set("scale", value.scale);
    o.Set("output", linear(value.output));
    return o;
  }

  Napi::Object self(const spec::SelfAttention& value) const {
    Napi::Object o = heads(value);
    o.Set("qkv", linear(value.qkv));
    return o;
  }

  Napi::Object cross(const spec::CrossAttention& value) const {
    Napi::Object o = heads(value);
    o.Set("query", linear(value.query));
    o.Set("kv", linear(value.kv));
    return o;
  }

  Napi::Object encoder(const spec::EncoderSpec& value) const {
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

  Napi::Object positions(const spec::DecoderPositions& value) const {
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

  Napi::Object decoder(const spec::DecoderSpec& value) const {
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

 private:
  Napi::Object make() const { return Napi::Object::New(env_); }
  void set(Napi::Object& o, const char* name, int64_t value) const {
    o.Set(name, Napi::Number::New(env_, static_cast<double>(value)));
  }

  template <typename T, typename Fn>
  Napi::Array list(const std::vector<T>& values, Fn fn) const {
    Napi::Array array = Napi::Array::New(env_, values.size());
    for (size_t i = 0; i < values.size(); ++i) array.Set(static_cast<uint32_t>(i), fn(values[i]));
    return array;
  }

  Napi::Env env_;
};

}  // namespace

spec::ModelSpec readSpec(const Reader& r) {
  spec::ModelSpec spec;
  spec.encoder = readEncoder(r.object("encoder"));
  if (r.has("projection")) spec.projection = readLinear(r.object("projection"));
  spec.decoder = readDecoder(r.object("decoder"));
  return spec;
}

TensorTable readTable(const Reader& r) {
  TensorTable table;
  for (const Reader& file : r.objects("files")) table.files.push_back({file.string("path"), file.integer("size")});
  for (const Reader& t : r.objects("tensors")) {
    TensorPlace place;
    place.name = t.string("name");
    place.file = static_cast<int32_t>(t.integer("file"));
    place.offset = t.integer("offset");
    place.byteLength = t.integer("byteLength");
    place.dtype = readDType(t);
    place.shape = t.integers("shape");
    table.tensors.push_back(std::move(place));
  }
  return table;
}

Napi::Object writeSpec(Napi::Env env, const spec::ModelSpec& spec) {
  const Writer writer(env);
  Napi::Object o = Napi::Object::New(env);
  o.Set("encoder", writer.encoder(spec.encoder));
  o.Set("projection", spec.projection ? Napi::Value(writer.linear(*spec.projection)) : env.Null());
  o.Set("decoder", writer.decoder(spec.decoder));
  return o;
}

}  // namespace ved::addon
