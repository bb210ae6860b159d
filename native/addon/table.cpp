// The tensor table across the boundary: ranges of files, and tensors still to be drawn.
#include <limits>

#include "addon/spec.h"

namespace ved::addon {
namespace {

DType readDType(const Reader& r) {
  const std::string text = r.string("dtype");
  if (text == "F32") return DType::F32;
  if (text == "F16") return DType::F16;
  if (text == "BF16") return DType::BF16;
  rejectValue(r.path() + ".dtype", "F32, F16 or BF16, got " + text);
}

int32_t readIndex(const Reader& r, const char* name) {
  const int64_t index = r.integer(name);
  if (index < 0 || index > std::numeric_limits<int32_t>::max())
    rejectValue(r.path() + "." + name, "an index, got " + std::to_string(index));
  return static_cast<int32_t>(index);
}

TensorPlace readPlace(const Reader& r) {
  TensorPlace place;
  place.name = r.string("name");
  place.byteLength = r.integer("byteLength");
  place.dtype = readDType(r);
  place.shape = r.integers("shape");
  const std::string kind = r.string("kind");
  if (kind == "file")
    place.where = FileRange{readIndex(r, "file"), r.integer("offset")};
  else if (kind == "memory")
    place.where = MemoryBuffer{readIndex(r, "buffer")};
  else
    rejectValue(r.path() + ".kind", "file or memory, got " + kind);
  return place;
}

std::vector<float> readValues(const Reader& r) {
  const Napi::Value data = r.value("values");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    rejectValue(r.path() + ".values", "a Float32Array");
  const auto array = data.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};  // copied: the caller may change or transfer it
}

Distribution readDistribution(const Reader& r) {
  using Kind = Distribution::Kind;
  const std::string kind = r.string("kind");
  Distribution d;
  if (kind == "constant") {
    d.kind = Kind::Constant;
    d.value = r.number("value");
  } else if (kind == "normal") {
    d.kind = Kind::Normal;
    d.std = r.number("std");
  } else if (kind == "truncatedNormal") {
    d.kind = Kind::TruncatedNormal;
    d.std = r.number("std");
    d.low = r.number("low");
    d.high = r.number("high");
  } else if (kind == "uniform") {
    d.kind = Kind::Uniform;
    d.high = r.number("bound");
    d.low = -d.high;
  } else if (kind == "values") {
    d.kind = Kind::Values;
    d.values = readValues(r);
  } else {
    rejectValue(r.path() + ".kind", "constant, normal, truncatedNormal, uniform or values, got " + kind);
  }
  return d;
}

NewTensor readNewTensor(const Reader& r) {
  NewTensor tensor;
  tensor.name = r.string("name");
  tensor.shape = r.integers("shape");
  tensor.distribution = readDistribution(r.object("distribution"));
  if (r.has("zeroRow")) tensor.zeroRow = r.integer("zeroRow");
  return tensor;
}

}  // namespace

TensorTable readTable(const Reader& r) {
  TensorTable table;
  for (const Reader& file : r.objects("files")) table.files.push_back({file.string("path"), file.integer("size")});
  for (const Reader& tensor : r.objects("tensors")) table.tensors.push_back(readPlace(tensor));
  for (const Reader& tensor : r.objects("created")) table.created.push_back(readNewTensor(tensor));
  table.seed = static_cast<uint64_t>(r.integer("seed", 0));
  return table;
}

}  // namespace ved::addon
