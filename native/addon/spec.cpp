#include "addon/spec.h"

#include <utility>

#include "addon/spec_parts.h"

namespace ved::addon {
namespace {

DType readDType(const Reader& r) {
  const std::string text = r.string("dtype");
  if (text == "F32") return DType::F32;
  if (text == "F16") return DType::F16;
  if (text == "BF16") return DType::BF16;
  rejectValue(r.path() + ".dtype", "F32, F16 or BF16, got " + text);
}

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
  const SpecWriter writer(env);
  Napi::Object o = Napi::Object::New(env);
  o.Set("encoder", writer.encoder(spec.encoder));
  o.Set("projection", spec.projection ? Napi::Value(writer.linear(*spec.projection)) : env.Null());
  o.Set("decoder", writer.decoder(spec.decoder));
  return o;
}

}  // namespace ved::addon
