#include "addon/spec.h"

#include <utility>

#include "addon/spec_parts.h"

namespace ved::addon {
spec::ModelSpec readSpec(const Reader& r) {
  spec::ModelSpec spec;
  spec.encoder = readEncoder(r.object("encoder"));
  if (r.has("projection")) spec.projection = readLinear(r.object("projection"));
  spec.decoder = readDecoder(r.object("decoder"));
  return spec;
}

Napi::Object writeSpec(Napi::Env env, const spec::ModelSpec& spec) {
  const SpecWriter writer(env);
  Napi::Object o = Napi::Object::New(env);
  o.Set("encoder", writer.encoder(spec.encoder));
  o.Set("projection", spec.projection ? Napi::Value(writer.linear(*spec.projection)) : env.Null());
  o.Set("decoder", writer.decoder(spec.decoder));
  return o;
}

}  // namespace ved::addon
