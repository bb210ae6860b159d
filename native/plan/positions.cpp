#include <algorithm>
#include <cmath>

#include "plan/weights.h"

namespace ved::plan {
namespace {

float cubic(float t) {  // Keys' kernel with a = -0.75
  constexpr float a = -0.75f;
  t = std::fabs(t);
  if (t <= 1.f) return ((a + 2.f) * t - (a + 3.f)) * t * t + 1.f;
  if (t < 2.f) return ((a * t - 5.f * a) * t + 8.f * a) * t - 4.f * a;
  return 0.f;
}

struct Taps {
  int64_t index[4];
  float weight[4];
};

std::vector<Taps> cubicTaps(int64_t in, int64_t out) {
  std::vector<Taps> taps(static_cast<size_t>(out));
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t o = 0; o < out; ++o) {
    const float source = (static_cast<float>(o) + 0.5f) * scale - 0.5f;
    const float base = std::floor(source);
    for (int k = 0; k < 4; ++k) {
      const int64_t index = static_cast<int64_t>(base) + k - 1;
      taps[static_cast<size_t>(o)].index[k] = std::clamp<int64_t>(index, 0, in - 1);
      taps[static_cast<size_t>(o)].weight[k] = cubic(source - (base + static_cast<float>(k - 1)));
    }
  }
  return taps;
}

}  // namespace

std::vector<float> interpolatePositions(const std::vector<float>& table, const spec::GridPositions& grid, int64_t width,
                                        int64_t newHeight, int64_t newWidth) {
  std::vector<float> out(static_cast<size_t>((grid.prefix + newHeight * newWidth) * width));
  std::copy_n(table.begin(), grid.prefix * width, out.begin());
  const float* source = table.data() + grid.prefix * width;
  const std::vector<Taps> rows = cubicTaps(grid.gridHeight, newHeight);
  const std::vector<Taps> columns = cubicTaps(grid.gridWidth, newWidth);
  float* target = out.data() + grid.prefix * width;
  for (const Taps& row : rows) {
    for (const Taps& column : columns) {
      for (int64_t c = 0; c < width; ++c) {
        float sum = 0;
        for (int i = 0; i < 4; ++i) {
          float line = 0;
          for (int j = 0; j < 4; ++j)
            line += column.weight[j] * source[(row.index[i] * grid.gridWidth + column.index[j]) * width + c];
          sum += row.weight[i] * line;
        }
        *target++ = sum;
      }
    }
  }
  return out;
}

}  // namespace ved::plan
