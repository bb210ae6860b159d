#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/reference/reference.h"

namespace ved::ops::reference {

void layerNorm(const LayerNormArgs& a) {
  const bool centred = a.kind == NormKind::Layer;
  for (int64_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.ldx;
    double mean = 0, squares = 0;
    for (int64_t i = 0; centred && i < a.width; ++i) mean += x[i];
    mean /= static_cast<double>(a.width);
    for (int64_t i = 0; i < a.width; ++i) squares += (x[i] - mean) * (x[i] - mean);
    squares /= static_cast<double>(a.width);
    const double inverse = 1.0 / std::sqrt(squares + a.eps);
    for (int64_t i = 0; i < a.width; ++i)
      a.y[r * a.ldy + i] = static_cast<float>((x[i] - mean) * inverse * a.gamma[i] + (centred ? a.beta[i] : 0.0f));
  }
}

// A NaN never wins the argmax and always makes the sum NaN.
RowSummary summarize(const float* logits, int64_t vocab) {
  const float lowest = -std::numeric_limits<float>::infinity();
  RowSummary s{0, lowest, 0};
  for (int64_t i = 0; i < vocab; ++i)
    if (logits[i] > s.max) s = {static_cast<int32_t>(i), logits[i], 0};
  double sum = 0;
  bool nan = false;
  for (int64_t i = 0; i < vocab; ++i) {
    nan = nan || std::isnan(logits[i]);
    sum += std::exp(static_cast<double>(logits[i]) - s.max);
  }
  s.logSumExp = nan                 ? std::numeric_limits<float>::quiet_NaN()
                : std::isinf(s.max) ? s.max
                                    : static_cast<float>(s.max + std::log(sum));
  return s;
}

void patches(const PatchesArgs& a) {
  float* out = a.patches;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t t = 0; t < a.gridH * a.gridW; ++t) {
      const int64_t cell = cellOfToken(a.order, a.gridH, a.gridW, t);
      const int64_t top = cell / a.gridW * a.strideH - a.padH, left = cell % a.gridW * a.strideW - a.padW;
      for (int64_t c = 0; c < a.channels; ++c)
        for (int64_t y = top; y < top + a.patchH; ++y)
          for (int64_t x = left; x < left + a.patchW; ++x) {
            const bool inside = y >= 0 && y < a.height && x >= 0 && x < a.width;
            *out++ = inside ? a.pixels[((b * a.channels + c) * a.height + y) * a.width + x] : 0;
          }
    }
}

void poolTokens(const PoolTokensArgs& a) {
  const int64_t out = a.tokens / a.groups * a.width;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t i = 0; i < out; ++i) {
      float largest = a.x[b * a.tokens * a.width + i];
      for (int64_t g = 1; g < a.groups; ++g) {
        const float value = a.x[b * a.tokens * a.width + g * out + i];
        if (value > largest || std::isnan(value)) largest = value;
      }
      a.y[b * out + i] = largest;
    }
}

void mergeCells(const MergeCellsArgs& a) {
  float* out = a.out;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t y = 0; y < a.height; y += 2)
      for (int64_t x = 0; x < a.width; x += 2)
        for (int64_t cell = 0; cell < 4; ++cell) {
          const int64_t row = y + cell % 2, column = x + cell / 2;
          const float* in = a.in + ((b * a.height + row) * a.width + column) * a.channels;
          for (int64_t c = 0; c < a.channels; ++c) *out++ = row < a.height && column < a.width ? in[c] : 0;
        }
}

void assembleTokens(const AssembleTokensArgs& a) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t i = 0; i < a.tokens(); ++i)
      for (int64_t d = 0; d < a.width; ++d)
        a.out[(b * a.tokens() + i) * a.width + d] =
            a.source(b, i)[d] + (a.positions ? a.positions[i * a.width + d] : 0);
}

void embedTokens(const EmbedTokensArgs& a) {
  for (int64_t t = 0; t < a.tokens; ++t)
    for (int64_t d = 0; d < a.width; ++d) {
      const double token = static_cast<double>(a.scale) * a.table[(a.ids ? a.ids[t] : 0) * a.width + d];
      const double position = a.positions ? a.positions[(a.positionIds ? a.positionIds[t] : 0) * a.width + d] : 0.0;
      a.out[t * a.width + d] = static_cast<float>(token + position);
    }
}

}  // namespace ved::ops::reference
