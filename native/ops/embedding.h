// Turning pixels and token ids into rows of the residual stream.
#pragma once
#include <cstdint>

#include "ops/cell_order.h"
#include "ops/linear.h"

namespace ved::ops {

// patches[b * gridH * gridW + t, c * patchH * patchW + y * patchW + x] =
//   pixels[b, c, gy * strideH - padH + y, gx * strideW - padW + x] with (gy, gx) the cell of token t; zero outside the
// image. A grid rounded down drops the trailing pixels that do not fill a patch, one rounded up fills them up with
// zeros.
struct PatchesArgs {
  const float* pixels;  // [batch, channels, height, width]
  float* patches;       // [batch * gridH * gridW, channels * patchH * patchW]
  int64_t batch, channels, height, width, patchH, patchW, gridH, gridW;
  int64_t strideH = patchH, strideW = patchW, padH = 0, padW = 0;
  CellOrder order = {};
  Element element = Element::Float32;  // of the patches; 16 bits: rows are storedWidth() apart
};

// Four neighbouring cells side by side, zero outside the map:
// out[b, y, x] = in[b, 2y, 2x] | in[b, 2y + 1, 2x] | in[b, 2y, 2x + 1] | in[b, 2y + 1, 2x + 1]
struct MergeCellsArgs {
  const float* in;  // [batch * height * width, channels]
  float* out;       // [batch * ceil(height / 2) * ceil(width / 2), 4 * channels]
  int64_t batch, height, width, channels;
};

// y[b, t] = max over g < groups of x[b, g * tokens / groups + t], element by element; a NaN wins.
struct PoolTokensArgs {
  const float* x;  // [batch * tokens, width]
  float* y;        // [batch * tokens / groups, width]
  int64_t batch, tokens, groups, width;
};

// The tokens of an image b: out[b, i] = (prefixTokens | patches[b] | suffixTokens)[i] + positions[i]
struct AssembleTokensArgs {
  const float* patches;       // [batch * patchTokens, width]
  const float* prefixTokens;  // [prefix, width] or nullptr
  const float* positions;     // [tokens(), width], or nullptr for none
  float* out;                 // [batch * tokens(), width]
  int64_t batch, prefix, patchTokens, width;
  const float* suffixTokens = nullptr;  // [suffix, width] or nullptr
  int64_t suffix = 0;
  VED_HOST_DEVICE int64_t tokens() const { return prefix + patchTokens + suffix; }
  // Where token i of an image comes from.
  VED_HOST_DEVICE const float* source(int64_t image, int64_t i) const {
    if (i < prefix) return prefixTokens + i * width;
    if (i < prefix + patchTokens) return patches + (image * patchTokens + i - prefix) * width;
    return suffixTokens + (i - prefix - patchTokens) * width;
  }
};

// y[b, i] += positions[i]
struct AddPositionsArgs {
  float* y;                // [batch * tokens, width]
  const float* positions;  // [tokens, width]
  int64_t batch, tokens, width;
};

// out[t] = scale * table[id[t]] + positions[positionId[t]]; without positions only the first term. Every id of an array
// that is nullptr is 0.
struct EmbedTokensArgs {
  const float* table;          // [vocab, width], or nullptr: the rows of `tied`
  const float* positions;      // [positionRows, width] or nullptr
  float* out;                  // [tokens, width]
  const int32_t* ids;          // [tokens], already checked against the vocabulary, or nullptr
  const int32_t* positionIds;  // [tokens], already offset and checked, or nullptr
  int64_t tokens, width;
  float scale;
  const LinearWeight* tied = nullptr;       // of a backend that readsRows(): the head's matrix [vocab, width]
  int64_t tableRows = 0, positionRows = 0;  // a device copies the tables whole
};

}  // namespace ved::ops
