// The largest of rows a stride apart, element by element.
#pragma once
#include <cstdint>
#include <cstring>

namespace ved::ops::cpu {

// y[i] = max over g < count of x[g * stride + i]; a NaN wins.
inline void poolRows(const float* x, int64_t stride, int64_t count, int64_t width, float* y) {
  std::memcpy(y, x, static_cast<size_t>(width) * sizeof(float));
  for (int64_t g = 1; g < count; ++g) {
    const float* row = x + g * stride;
    for (int64_t i = 0; i < width; ++i) y[i] = row[i] > y[i] || row[i] != row[i] ? row[i] : y[i];
  }
}

}  // namespace ved::ops::cpu
