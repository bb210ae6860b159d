// The one exception type that crosses module boundaries; the addon turns it into a typed JavaScript error.
#pragma once
#include <stdexcept>
#include <string>

namespace ved {

enum class ErrorKind { Config, Weights, Option, Unsupported, Image, Device, OutOfMemory, Disposed, Internal };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string code, const std::string& message)
      : std::runtime_error(message), kind_(kind), code_(std::move(code)) {}
  ErrorKind kind() const noexcept { return kind_; }
  const std::string& code() const noexcept { return code_; }

 private:
  ErrorKind kind_;
  std::string code_;
};

}  // namespace ved
