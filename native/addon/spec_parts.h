// The pieces of a spec that encoders and decoders share, in both directions.
#pragma once
#include "addon/spec.h"

namespace ved::addon {

const char* activationName(Activation activation);
Activation readActivation(const Reader& reader, const char* name);
spec::TensorRef readRef(const Reader& reader, const char* name);
spec::Linear readLinear(const Reader& reader);
std::optional<spec::Linear> readOptionalLinear(const Reader& reader, const char* name);
spec::Norm readNorm(const Reader& reader);
std::optional<spec::Norm> readOptionalNorm(const Reader& reader, const char* name);
spec::Mlp readMlp(const Reader& reader);
spec::SelfAttention readSelfAttention(const Reader& reader);
spec::CrossAttention readCrossAttention(const Reader& reader);
spec::NormPosition readNormPosition(const Reader& reader);
spec::EncoderSpec readEncoder(const Reader& reader);
spec::DecoderSpec readDecoder(const Reader& reader);

// Writes structs back as objects.
class SpecWriter {
 public:
  explicit SpecWriter(Napi::Env env) : env_(env) {}

  Napi::Object linear(const spec::Linear& value) const;
  Napi::Object norm(const spec::Norm& value) const;
  Napi::Value optionalNorm(const std::optional<spec::Norm>& value) const;
  Napi::Object mlp(const spec::Mlp& value) const;
  Napi::Object self(const spec::SelfAttention& value) const;
  Napi::Object cross(const spec::CrossAttention& value) const;
  Napi::Object encoder(const spec::EncoderSpec& value) const;
  Napi::Object positionIds(const spec::PositionIds& value) const;
  Napi::Object embedding(const spec::PatchEmbedding& value) const;
  Napi::Object stage(const spec::EncoderStage& value) const;
  Napi::Object encoderLayer(const spec::EncoderLayer& value) const;
  Napi::Object span(const spec::AttentionSpan& value) const;
  Napi::Value optionalRef(const std::optional<spec::TensorRef>& value) const;
  Napi::Object positions(const spec::DecoderPositions& value) const;
  Napi::Object textAttention(const std::variant<spec::SelfAttention, spec::CrossAttention>& value) const;
  Napi::Value tokenMap(const std::optional<spec::TokenMap>& value) const;
  Napi::Value streams(const std::optional<spec::NgramStreams>& value) const;
  Napi::Value adapter(const std::optional<spec::Adapter>& value) const;
  Napi::Object grid(const spec::GridPositions& value) const;
  Napi::Object decoderEmbedding(const spec::DecoderEmbedding& value) const;
  Napi::Value headTransform(const std::optional<spec::HeadTransform>& value) const;
  Napi::Object decoder(const spec::DecoderSpec& value) const;

 private:
  template <typename Attention>
  Napi::Object heads(const Attention& value) const {
    Napi::Object o = make();
    set(o, "heads", value.heads);
    set(o, "headDim", value.headDim);
    o.Set("scale", value.scale);
    o.Set("output", linear(value.output));
    return o;
  }

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

}  // namespace ved::addon
