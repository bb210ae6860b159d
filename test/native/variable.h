// An environment variable for as long as the object lives.
#pragma once
#include <cstdlib>

namespace ved::test {

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
#ifndef _WIN32
    setenv(name, value, 1);
#endif
  }
  ~Variable() {
#ifndef _WIN32
    unsetenv(name_);
#endif
  }
  Variable(const Variable&) = delete;

 private:
  const char* name_;
};

}  // namespace ved::test
