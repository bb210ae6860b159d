// Resampling of position and bias tables, as torch.nn.functional.interpolate does it (align_corners false).
#include <algorithm>
#include <cmath>

#include "plan/weights.h"

namespace ved::plan {
namespace {

// One output element of an axis: a weighted sum of input elements.
struct Taps {
  std::vector<int64_t> index;
  std::vector<float> weight;
};
using Axis = std::vector<Taps>;

float cubic(float t, float a) {  // Keys' kernel
  t = std::fabs(t);
  if (t <= 1.f) return ((a + 2.f) * t - (a + 3.f)) * t * t + 1.f;
  if (t < 2.f) return ((a * t - 5.f * a) * t + 8.f * a) * t - 4.f * a;
  return 0.f;
}

// a = -0.75, four taps clamped to the border, also when the table shrinks.
Axis cubicAxis(int64_t in, int64_t out) {
  Axis axis(static_cast<size_t>(out));
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t o = 0; o < out; ++o) {
    const float source = (static_cast<float>(o) + 0.5f) * scale - 0.5f;
    const float base = std::floor(source);
    for (int k = -1; k < 3; ++k) {
      axis[static_cast<size_t>(o)].index.push_back(std::clamp<int64_t>(static_cast<int64_t>(base) + k, 0, in - 1));
      axis[static_cast<size_t>(o)].weight.push_back(cubic(source - (base + static_cast<float>(k)), -0.75f));
    }
  }
  return axis;
}

// a = -0.5, the kernel widened by the scale, taps beyond the border cut off and the rest renormalised.
Axis antialiasAxis(int64_t in, int64_t out) {
  Axis axis(static_cast<size_t>(out));
  const float scale = static_cast<float>(in) / static_cast<float>(out), widen = std::max(scale, 1.f);
  for (int64_t o = 0; o < out; ++o) {
    Taps& taps = axis[static_cast<size_t>(o)];
    const float centre = (static_cast<float>(o) + 0.5f) * scale, support = 2.f * widen;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5f), 0);
    const int64_t last = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5f), in);
    float sum = 0;
    for (int64_t i = first; i < last; ++i) {
      taps.index.push_back(i);
      taps.weight.push_back(cubic((static_cast<float>(i) - centre + 0.5f) / widen, -0.5f));
      sum += taps.weight.back();
    }
    for (float& weight : taps.weight) weight /= sum;
  }
  return axis;
}

Axis linearAxis(int64_t in, int64_t out) {
  Axis axis(static_cast<size_t>(out));
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t o = 0; o < out; ++o) {
    const float source = std::max((static_cast<float>(o) + 0.5f) * scale - 0.5f, 0.f);
    const int64_t base = std::min(static_cast<int64_t>(source), in - 1);
    const float part = source - static_cast<float>(base);
    axis[static_cast<size_t>(o)] = {{base, std::min(base + 1, in - 1)}, {1.f - part, part}};
  }
  return axis;
}

// source: [rows of the input, columns of the input, width] -> target: [rows.size(), columns.size(), width]
void resample(const float* source, int64_t sourceColumns, int64_t width, const Axis& rows, const Axis& columns,
              float* target) {
  for (const Taps& row : rows) {
    for (const Taps& column : columns) {
      for (int64_t c = 0; c < width; ++c) {
        float sum = 0;
        for (size_t i = 0; i < row.index.size(); ++i) {
          float line = 0;
          for (size_t j = 0; j < column.index.size(); ++j)
            line += column.weight[j] * source[(row.index[i] * sourceColumns + column.index[j]) * width + c];
          sum += row.weight[i] * line;
        }
        *target++ = sum;
      }
    }
  }
}

}  // namespace

std::vector<float> interpolatePositions(const float* table, const spec::GridPositions& grid, int64_t width,
                                        const TokenLayout& layout) {
  std::vector<float> out(static_cast<size_t>(layout.tokens() * width));
  std::copy_n(table, grid.prefix * width, out.begin());
  const float* source = table + grid.prefix * width;
  float* target = out.data() + layout.prefix * width;
  std::copy_n(source + grid.gridHeight * grid.gridWidth * width, grid.suffix * width,
              target + layout.height * layout.width * width);
  if (grid.gridHeight == layout.height && grid.gridWidth == layout.width) {
    std::copy_n(source, layout.height * layout.width * width, target);
    return out;
  }
  const auto axis = grid.resample == spec::Resample::Bicubic ? cubicAxis : antialiasAxis;
  resample(source, grid.gridWidth, width, axis(grid.gridHeight, layout.height), axis(grid.gridWidth, layout.width),
           target);
  return out;
}

std::vector<float> orderRows(const std::vector<float>& rows, const ops::CellOrder& order, int64_t gridHeight,
                             int64_t gridWidth) {
  if (order.levels == 0) return rows;
  const int64_t cells = gridHeight * gridWidth, width = static_cast<int64_t>(rows.size()) / cells;
  std::vector<float> out(rows.size());
  for (int64_t t = 0; t < cells; ++t)
    std::copy_n(rows.data() + ops::cellOfToken(order, gridHeight, gridWidth, t) * width, width, out.data() + t * width);
  return out;
}

// transformers modeling_aimv2.py, build_2d_sinusoidal_position_embedding with its halves swapped; double as there.
std::vector<float> wavePositions(const spec::WavePositions& positions, int64_t width, const TokenLayout& layout) {
  const int64_t quarter = width / 4;
  std::vector<float> out(static_cast<size_t>(layout.tokens() * width));
  float* row = out.data() + layout.prefix * width;
  for (int64_t cell = 0; cell < layout.height * layout.width; ++cell, row += width)
    for (int64_t j = 0; j < quarter; ++j) {
      const double frequency = 1.0 / std::pow(positions.base, static_cast<double>(j) / static_cast<double>(quarter));
      const double x = static_cast<double>(cell % layout.width) * frequency;
      const double y = static_cast<double>(cell / layout.width) * frequency;
      row[j] = static_cast<float>(std::sin(x));
      row[quarter + j] = static_cast<float>(std::cos(x));
      row[2 * quarter + j] = static_cast<float>(std::sin(y));
      row[3 * quarter + j] = static_cast<float>(std::cos(y));
    }
  return out;
}

// transformers modeling_dinov3_vit.py, DINOv3ViTRopePositionEmbedding; all arithmetic in float32 to match.
RotaryAngles rotaryAngles(const spec::RotaryPositions& positions, int64_t headDim, int64_t gridHeight,
                          int64_t gridWidth) {
  const int64_t quarter = headDim / 4;
  const auto centre = [](int64_t index, int64_t count) {
    return 2.f * ((static_cast<float>(index) + 0.5f) / static_cast<float>(count)) - 1.f;
  };
  RotaryAngles angles;
  for (int64_t cell = 0; cell < gridHeight * gridWidth; ++cell)
    for (const float c : {centre(cell / gridWidth, gridHeight), centre(cell % gridWidth, gridWidth)})
      for (int64_t j = 0; j < quarter; ++j) {
        const float exponent = 4.f * static_cast<float>(j) / static_cast<float>(headDim);
        const float angle =
            6.28318530717958647692f * c * (1.f / std::pow(static_cast<float>(positions.base), exponent));
        angles.cosines.push_back(std::cos(angle));
        angles.sines.push_back(std::sin(angle));
      }
  return angles;
}

std::vector<int32_t> distanceBuckets(int64_t buckets, int64_t maxDistance, int64_t count) {
  const int64_t exact = buckets / 2;
  const float range = static_cast<float>(std::log(static_cast<double>(maxDistance) / static_cast<double>(exact)));
  std::vector<int32_t> out;
  for (int64_t d = 0; d < count; ++d) {
    const float ratio = std::log(static_cast<float>(d) / static_cast<float>(exact)) / range;
    const float far = static_cast<float>(exact) + ratio * static_cast<float>(buckets - exact);
    out.push_back(
        static_cast<int32_t>(d < exact ? static_cast<float>(d) : std::min(far, static_cast<float>(buckets - 1))));
  }
  return out;
}

// transformers modeling_beit.py, BeitRelativePositionBias: the table is taken as (width, height) before it is resized,
// which shows where the configured grid is not square.
BiasTable interpolateBias(const std::vector<float>& stored, const spec::GridBias& grid, int64_t heads,
                          int64_t newHeight, int64_t newWidth) {
  const int64_t oldRows = 2 * grid.gridWidth - 1, oldColumns = 2 * grid.gridHeight - 1;
  const int64_t rows = 2 * newHeight - 1, columns = 2 * newWidth - 1, cells = rows * columns;
  std::vector<float> resized(static_cast<size_t>(cells * heads));
  resample(stored.data(), oldColumns, heads, linearAxis(oldRows, rows), linearAxis(oldColumns, columns),
           resized.data());
  BiasTable out{std::vector<float>(resized.size()), std::vector<float>(static_cast<size_t>(3 * heads)), newHeight,
                newWidth};
  for (int64_t h = 0; h < heads; ++h) {
    // Stored by query minus key, wanted by key minus query: back to front.
    for (int64_t i = 0; i < cells; ++i)
      out.table[static_cast<size_t>(h * cells + i)] = resized[static_cast<size_t>((cells - 1 - i) * heads + h)];
    const size_t classes = stored.size() - static_cast<size_t>(3 * heads);
    for (int64_t i = 0; i < 3; ++i)
      out.classes[static_cast<size_t>(h * 3 + i)] = stored[classes + static_cast<size_t>(i * heads + h)];
  }
  return out;
}

}  // namespace ved::plan
