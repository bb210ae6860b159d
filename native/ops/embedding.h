// Turning pixels and token ids into rows of the residual stream.
#pragma once
#include <cstdint>

namespace ved::ops {

// patches[b * gridH * gridW + gy * gridW + gx, c * patchH * patchW + y * patchW + x] =
//   pixels[b, c, gy * patchH + y, gx * patchW + x]; trailing pixels that do not fill a patch are dropped.
struct PatchesArgs {
  const float* pixels;  // [batch, channels, height, width]
  float* patches;       // [batch * gridH * gridW, channels * patchH * patchW]
  int64_t batch, channels, height, width, patchH, patchW;
};

// out[b, i] = (i < prefix ? prefixTokens[i] : patches[b, i - prefix]) + positions[i]
struct AssembleTokensArgs {
  const float* patches;       // [batch * patchTokens, width]
  const float* prefixTokens;  // [prefix, width] or nullptr
  const float* positions;     // [prefix + patchTokens, width]
  float* out;                 // [batch * (prefix + patchTokens), width]
  int64_t batch, prefix, patchTokens, width;
};

// out[t] = scale * table[id[t]] + positions[positionId[t]]; without positions only the first term
struct EmbedTokensArgs {
  const float* table;          // [vocab, width]
  const float* positions;      // [positionRows, width] or nullptr
  float* out;                  // [tokens, width]
  const int32_t* ids;          // [tokens], already checked against the vocabulary
  const int32_t* positionIds;  // [tokens], already offset and checked; unused without positions
  int64_t tokens, width;
  float scale;
};

}  // namespace ved::ops
