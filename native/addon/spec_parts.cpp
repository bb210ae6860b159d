#include "addon/spec_parts.h"

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

}  // namespace

const char* activationName(Activation activation) {
  for (const auto& [label, value] : kActivations)
    if (value == activation) return label;
  return "identity";
}

Activation readActivation(const Reader& r, const char* name) {
  const std::string text = r.string(name);
  for (const auto& [label, activation] : kActivations)
    if (text == label) return activation;
  rejectValue(r.path() + "." + name, "a known activation, got " + text);
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

std::optional<spec::Linear> readOptionalLinear(const Reader& r, const char* name) {
  if (!r.has(name)) return std::nullopt;
  return readLinear(r.object(name));
}

spec::Norm readNorm(const Reader& r) {
  const std::string kind = r.string("kind");
  if (kind == "layer") return spec::LayerNorm{readRef(r, "weight"), readRef(r, "bias"), r.number("eps")};
  if (kind == "rms") return spec::RmsNorm{readRef(r, "weight"), r.number("eps")};
  rejectValue(r.path() + ".kind", "layer or rms, got " + kind);
}

std::optional<spec::Norm> readOptionalNorm(const Reader& r, const char* name) {
  if (!r.has(name)) return std::nullopt;
  return readNorm(r.object(name));
}

spec::Mlp readMlp(const Reader& r) {
  return {readLinear(r.object("up")), readActivation(r, "activation"), readLinear(r.object("down"))};
}

spec::SelfAttention readSelfAttention(const Reader& r) {
  return {r.integer("heads"),
          r.integer("headDim"),
          r.number("scale"),
          readLinear(r.object("qkv")),
          readOptionalLinear(r, "relative"),
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

Napi::Object SpecWriter::linear(const spec::Linear& value) const {
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

Napi::Object SpecWriter::norm(const spec::Norm& value) const {
  Napi::Object o = make();
  if (const auto* layer = std::get_if<spec::LayerNorm>(&value)) {
    o.Set("kind", "layer");
    set(o, "weight", layer->weight);
    set(o, "bias", layer->bias);
    o.Set("eps", layer->eps);
  } else {
    const auto& rms = std::get<spec::RmsNorm>(value);
    o.Set("kind", "rms");
    set(o, "weight", rms.weight);
    o.Set("eps", rms.eps);
  }
  return o;
}

Napi::Value SpecWriter::optionalNorm(const std::optional<spec::Norm>& value) const {
  return value ? Napi::Value(norm(*value)) : env_.Null();
}

Napi::Object SpecWriter::mlp(const spec::Mlp& value) const {
  Napi::Object o = make();
  o.Set("up", linear(value.up));
  o.Set("activation", activationName(value.activation));
  o.Set("down", linear(value.down));
  return o;
}

Napi::Object SpecWriter::self(const spec::SelfAttention& value) const {
  Napi::Object o = heads(value);
  o.Set("qkv", linear(value.qkv));
  o.Set("relative", value.relative ? Napi::Value(linear(*value.relative)) : env_.Null());
  return o;
}

Napi::Object SpecWriter::cross(const spec::CrossAttention& value) const {
  Napi::Object o = heads(value);
  o.Set("query", linear(value.query));
  o.Set("kv", linear(value.kv));
  return o;
}

}  // namespace ved::addon
