// The one place where JavaScript values become C++ structs. Every getter names the property in its error.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace ved::addon {

class Reader {
 public:
  Reader(Napi::Value value, std::string path);

  bool has(const char* name) const;  // present and neither null nor undefined
  Reader object(const char* name) const;
  std::vector<Reader> objects(const char* name) const;
  int64_t integer(const char* name) const;
  int64_t integer(const char* name, int64_t fallback) const;
  double number(const char* name) const;
  double number(const char* name, double fallback) const;
  bool boolean(const char* name, bool fallback) const;
  std::string string(const char* name) const;
  std::vector<int32_t> ids(const char* name) const;  // absent: empty
  std::vector<int64_t> integers(const char* name) const;
  std::vector<std::string> strings(const char* name) const;  // strings as UTF-8, Uint8Arrays as bytes
  Napi::Value value(const char* name) const;
  const std::string& path() const { return path_; }

 private:
  Napi::Array array(const char* name) const;
  Napi::Object object_;
  std::string path_;
};

int64_t asInteger(const Napi::Value& value, const std::string& path);
std::vector<int32_t> asIds(const Napi::Value& value, const std::string& path);
std::vector<std::vector<int32_t>> asIdRows(const Napi::Value& value, const std::string& path);
[[noreturn]] void rejectValue(const std::string& path, const std::string& expected);

}  // namespace ved::addon
