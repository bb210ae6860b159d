// Row-wise ops of encoders: patches, tokens, pooled and merged cells, layer scale, gates.
#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/pool_rows.h"

namespace ved::ops::cpu {
namespace {

constexpr size_t kFloat = sizeof(float);

// One line of one patch; what lies outside the image is zero.
void copyLine(const PatchesArgs& a, int64_t image, int64_t channel, int64_t y, int64_t x, float* to) {
  const bool row = y >= 0 && y < a.height;
  const int64_t begin = std::clamp<int64_t>(-x, 0, a.patchW);
  const int64_t end = row ? std::clamp<int64_t>(a.width - x, begin, a.patchW) : begin;
  std::fill(to, to + begin, 0.0f);
  if (end > begin)
    std::memcpy(to + begin, a.pixels + ((image * a.channels + channel) * a.height + y) * a.width + x + begin,
                static_cast<size_t>(end - begin) * kFloat);
  std::fill(to + end, to + a.patchW, 0.0f);
}

}  // namespace

void CpuBackend::patches(const PatchesArgs& a) {
  const int64_t size = a.channels * a.patchH * a.patchW, cells = a.gridH * a.gridW;
  forRows(a.batch * cells, size, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t cell = cellOfToken(a.order, a.gridH, a.gridW, row % cells);
      const int64_t top = cell / a.gridW * a.strideH - a.padH, left = cell % a.gridW * a.strideW - a.padW;
      for (int64_t c = 0; c < a.channels; ++c)
        for (int64_t y = 0; y < a.patchH; ++y)
          copyLine(a, row / cells, c, top + y, left, a.patches + row * size + (c * a.patchH + y) * a.patchW);
    }
  });
}

void CpuBackend::poolTokens(const PoolTokensArgs& a) {
  const int64_t out = a.tokens / a.groups;
  forRows(a.batch * out, a.groups * a.width, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const float* x = a.x + (row / out * a.tokens + row % out) * a.width;
      poolRows(x, out * a.width, a.groups, a.width, a.y + row * a.width);
    }
  });
}

void CpuBackend::assembleTokens(const AssembleTokensArgs& a) {
  const int64_t tokens = a.tokens();
  forRows(a.batch * tokens, a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const int64_t i = r % tokens;
      const float* from = a.source(r / tokens, i);
      float* to = a.out + r * a.width;
      if (!a.positions) {
        std::memcpy(to, from, static_cast<size_t>(a.width) * kFloat);
        continue;
      }
      const float* position = a.positions + i * a.width;
      for (int64_t d = 0; d < a.width; ++d) to[d] = from[d] + position[d];
    }
  });
}

void CpuBackend::addPositions(const AddPositionsArgs& a) {
  forRows(a.batch * a.tokens, a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const float* position = a.positions + r % a.tokens * a.width;
      for (int64_t d = 0; d < a.width; ++d) a.y[r * a.width + d] += position[d];
    }
  });
}

void CpuBackend::mergeCells(const MergeCellsArgs& a) {
  const int64_t rows = (a.height + 1) / 2, columns = (a.width + 1) / 2;
  const size_t bytes = static_cast<size_t>(a.channels) * kFloat;
  forRows(a.batch * rows, columns * 4 * a.channels, [&](int64_t first, int64_t last) {
    for (int64_t line = first; line < last; ++line)
      for (int64_t x = 0; x < columns; ++x)
        for (int64_t cell = 0; cell < 4; ++cell) {
          const int64_t row = 2 * (line % rows) + cell % 2, column = 2 * x + cell / 2;
          float* to = a.out + ((line * columns + x) * 4 + cell) * a.channels;
          if (row < a.height && column < a.width)
            std::memcpy(to, a.in + ((line / rows * a.height + row) * a.width + column) * a.channels, bytes);
          else
            std::fill(to, to + a.channels, 0.0f);
        }
  });
}

void CpuBackend::scaleColumns(const ScaleColumnsArgs& a) {
  forRows(a.rows, a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      float* y = a.y + r * a.width;
      for (int64_t i = 0; i < a.width; ++i) y[i] *= a.factors[i];
    }
  });
}

void CpuBackend::rotate(const RotateArgs& a) {
  const int64_t half = a.headDim / 2, width = a.heads * a.headDim;
  forRows(a.batch * a.cells, 4 * width, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t image = row / a.cells, cell = row % a.cells;
      const float* cosine = a.cosines + cell * half;
      const float* sine = a.sines + cell * half;
      float* x = a.qkv + (image * a.tokens + a.tokens - a.cells + cell) * 3 * width;
      for (int64_t head = 0; head < 2 * a.heads; ++head, x += a.headDim)  // queries, then keys
        for (int64_t d = 0; d < half; ++d) {
          const float low = x[d], high = x[half + d];
          x[d] = low * cosine[d] - high * sine[d];
          x[half + d] = high * cosine[d] + low * sine[d];
        }
    }
  });
}

void CpuBackend::turnPairs(const TurnPairsArgs& a) {
  const int64_t half = a.headDim / 2, width = a.heads * a.headDim;
  forRows(a.tokens, 2 * a.parts * width, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      const float* cosine = a.cosines + a.positionIds[t] * half;
      const float* sine = a.sines + a.positionIds[t] * half;
      float* x = a.qkv + t * 3 * width;
      for (int64_t head = 0; head < a.parts * a.heads; ++head, x += a.headDim)
        for (int64_t d = 0; d < half; ++d) {
          const float even = x[2 * d], odd = x[2 * d + 1];
          x[2 * d] = even * cosine[d] - odd * sine[d];
          x[2 * d + 1] = odd * cosine[d] + even * sine[d];
        }
    }
  });
}

void CpuBackend::gate(const GateArgs& a) {
  forRows(a.rows, 6 * a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const float* x = a.x + r * 2 * a.width;
      float* y = a.y + r * a.width;
      std::memcpy(y, x, static_cast<size_t>(a.width) * kFloat);
      kernels_->activate(y, a.width, a.activation);
      for (int64_t i = 0; i < a.width; ++i) y[i] *= x[a.width + i];
    }
  });
}

}  // namespace ved::ops::cpu
