// VED_TRACE=1: one line on standard error per run of a program: what ran, on how much, how long, by which kernels.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace ved {

class Trace {
 public:
  Trace() {
    const char* value = std::getenv("VED_TRACE");
    enabled_ = value && std::string(value) == "1";
  }

  template <typename Body>
  void run(const char* what, int64_t rows, const std::string& kernels, int threads, Body body) const {
    if (!enabled_) return body();
    const auto begin = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    std::fprintf(stderr, "ved: %s, %lld rows, %.3f ms, %s, %d threads\n", what, static_cast<long long>(rows),
                 time.count(), kernels.c_str(), threads);
  }

 private:
  bool enabled_ = false;
};

}  // namespace ved
