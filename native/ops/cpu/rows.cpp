#include <cstring>

#include "ops/cpu/cpu_backend.h"

namespace ved::ops::cpu {

void CpuBackend::layerNorm(const LayerNormArgs& a) {
  forRows(a.rows, a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const float* x = a.x + r * a.ldx;
      float* y = a.y + r * a.ldy;
      if (a.kind == NormKind::Layer)
        kernels_->layerNormRow(x, y, a.width, a.gamma, a.beta, a.eps);
      else
        kernels_->rmsNormRow(x, y, a.width, a.gamma, a.eps);
    }
  });
}

void CpuBackend::summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, RowSummary* out) {
  forRows(rows, 4 * vocab, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) out[r] = kernels_->summarizeRow(logits + r * ld, vocab);
  });
}

void CpuBackend::addBias(const AddBiasArgs& a) {
  forRows(a.rows, a.width, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r)
      for (int64_t i = 0; i < a.width; ++i) a.y[r * a.width + i] += a.bias[i];
  });
}

void CpuBackend::activate(const ActivateArgs& a) {
  forRows(a.rows, 4 * a.width, [&](int64_t first, int64_t last) {
    kernels_->activate(a.y + first * a.width, (last - first) * a.width, a.activation);
  });
}

void CpuBackend::add(const AddArgs& a) {
  forRows(a.rows, a.width, [&](int64_t first, int64_t last) {
    for (int64_t i = first * a.width; i < last * a.width; ++i) a.y[i] += a.x[i];
  });
}

void CpuBackend::embedTokens(const EmbedTokensArgs& a) {
  forRows(a.tokens, a.width, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      float* out = a.out + t * a.width;
      const int32_t id = a.ids ? a.ids[t] : 0;
      const float* row = a.table ? a.table + id * a.width : out;
      if (!a.table) static_cast<const CpuWeight*>(a.tied)->readRow(id, out);
      if (a.positions == nullptr) {
        for (int64_t d = 0; d < a.width; ++d) out[d] = a.scale * row[d];
        continue;
      }
      const float* position = a.positions + (a.positionIds ? a.positionIds[t] : 0) * a.width;
      for (int64_t d = 0; d < a.width; ++d) out[d] = a.scale * row[d] + position[d];
    }
  });
}

}  // namespace ved::ops::cpu
