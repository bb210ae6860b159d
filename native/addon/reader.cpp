#include "addon/reader.h"

#include <cmath>
#include <limits>

namespace ved::addon {

void rejectValue(const std::string& path, const std::string& expected) {
  throw Error(ErrorKind::Option, "INVALID_ARGUMENT", path + ": expected " + expected);
}

int64_t asInteger(const Napi::Value& value, const std::string& path) {
  if (!value.IsNumber()) rejectValue(path, "an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(std::fabs(number) <= 9007199254740991.0) || number != std::trunc(number)) rejectValue(path, "a safe integer");
  return static_cast<int64_t>(number);
}

std::vector<int32_t> asIds(const Napi::Value& value, const std::string& path) {
  if (!value.IsArray()) rejectValue(path, "an array of token ids");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const int64_t id = asInteger(array.Get(i), path);
    if (id < std::numeric_limits<int32_t>::min() || id > std::numeric_limits<int32_t>::max())
      rejectValue(path, "32-bit token ids");
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

std::vector<std::vector<int32_t>> asIdRows(const Napi::Value& value, const std::string& path) {
  if (!value.IsArray()) rejectValue(path, "an array of rows of token ids");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::vector<int32_t>> rows;
  for (uint32_t i = 0; i < array.Length(); ++i) rows.push_back(asIds(array.Get(i), path));
  return rows;
}

Reader::Reader(Napi::Value value, std::string path) : path_(std::move(path)) {
  if (!value.IsObject()) rejectValue(path_, "an object");
  object_ = value.As<Napi::Object>();
}

Napi::Value Reader::value(const char* name) const { return object_.Get(name); }

bool Reader::has(const char* name) const {
  const Napi::Value v = value(name);
  return !v.IsUndefined() && !v.IsNull();
}

Reader Reader::object(const char* name) const { return Reader(value(name), path_ + "." + name); }

Napi::Array Reader::array(const char* name) const {
  const Napi::Value v = value(name);
  if (!v.IsArray()) rejectValue(path_ + "." + name, "an array");
  return v.As<Napi::Array>();
}

std::vector<Reader> Reader::objects(const char* name) const {
  const Napi::Array items = array(name);
  std::vector<Reader> readers;
  for (uint32_t i = 0; i < items.Length(); ++i)
    readers.emplace_back(items.Get(i), path_ + "." + name + "[" + std::to_string(i) + "]");
  return readers;
}

int64_t Reader::integer(const char* name) const { return asInteger(value(name), path_ + "." + name); }
int64_t Reader::integer(const char* name, int64_t fallback) const { return has(name) ? integer(name) : fallback; }

double Reader::number(const char* name) const {
  const Napi::Value v = value(name);
  if (!v.IsNumber()) rejectValue(path_ + "." + name, "a number");
  return v.As<Napi::Number>().DoubleValue();
}
double Reader::number(const char* name, double fallback) const { return has(name) ? number(name) : fallback; }

bool Reader::boolean(const char* name, bool fallback) const {
  if (!has(name)) return fallback;
  const Napi::Value v = value(name);
  if (!v.IsBoolean()) rejectValue(path_ + "." + name, "a boolean");
  return v.As<Napi::Boolean>().Value();
}

std::string Reader::string(const char* name) const {
  const Napi::Value v = value(name);
  if (!v.IsString()) rejectValue(path_ + "." + name, "a string");
  return v.As<Napi::String>().Utf8Value();
}

std::vector<int32_t> Reader::ids(const char* name) const {
  if (!has(name)) return {};
  return asIds(value(name), path_ + "." + name);
}

std::vector<int64_t> Reader::integers(const char* name) const {
  const Napi::Array items = array(name);
  std::vector<int64_t> values;
  for (uint32_t i = 0; i < items.Length(); ++i) values.push_back(asInteger(items.Get(i), path_ + "." + name));
  return values;
}

std::vector<std::string> Reader::strings(const char* name) const {
  if (!has(name)) return {};
  const Napi::Array items = array(name);
  std::vector<std::string> values;
  for (uint32_t i = 0; i < items.Length(); ++i) {
    const Napi::Value item = items.Get(i);
    if (item.IsString()) {
      values.push_back(item.As<Napi::String>().Utf8Value());
    } else if (item.IsTypedArray() && item.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
      const auto bytes = item.As<Napi::Uint8Array>();
      values.emplace_back(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
    } else {
      rejectValue(path_ + "." + name, "strings or Uint8Arrays");
    }
  }
  return values;
}

}  // namespace ved::addon
