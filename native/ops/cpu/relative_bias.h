// A row of attention scores and its relative bias.
#pragma once
#include "ops/attention.h"

namespace ved::ops::cpu {

// scores[u] = scale * scores[u] + bias(query, u) for every key u of one head. Keys of one grid row lie side by side in
// the table, so the inner loop is a plain sum of two rows.
inline void addRelativeBias(const RelativeBias& b, int64_t head, int64_t query, float scale, float* scores) {
  const int64_t cells = b.gridH * b.gridW;
  if (query < b.prefix) {
    const float* classes = b.classes + 3 * head;
    scores[0] = scale * scores[0] + classes[2];
    for (int64_t u = 1; u <= cells; ++u) scores[u] = scale * scores[u] + classes[0];
    return;
  }
  if (b.prefix) scores[0] = scale * scores[0] + b.classes[3 * head + 1];
  const float* table = b.table + head * (2 * b.gridH - 1) * (2 * b.gridW - 1);
  for (int64_t row = 0; row < b.gridH; ++row) {
    const float* bias = table + relativeIndex(b.gridH, b.gridW, query - b.prefix, row * b.gridW);
    float* line = scores + b.prefix + row * b.gridW;
    for (int64_t u = 0; u < b.gridW; ++u) line[u] = scale * line[u] + bias[u];
  }
}

}  // namespace ved::ops::cpu
