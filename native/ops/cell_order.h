// The order in which the cells of a patch grid become tokens (transformers modeling_hiera.py, unroll). With levels, the
// grid is cut into blocks of strideH x strideW cells; the cells at one place of all blocks come together, place after
// place in row-major order, and the blocks, in place of cells, are ordered in the same way, `levels` times. So cells
// that are pooled lie a fixed number of tokens apart, and so do cells of one square.
#pragma once
#include <cstdint>

#include "core/host_device.h"

namespace ved::ops {

struct CellOrder {
  int64_t levels = 0;  // 0: row-major
  int64_t strideH = 1, strideW = 1;
};

// Row-major position in the grid, whose sides strideH^levels and strideW^levels divide.
VED_HOST_DEVICE inline int64_t cellOfToken(const CellOrder& order, int64_t gridH, int64_t gridW, int64_t token) {
  int64_t row = 0, column = 0, rowStep = 1, columnStep = 1, rows = gridH, columns = gridW;
  for (int64_t level = 0; level < order.levels; ++level) {
    rows /= order.strideH;
    columns /= order.strideW;
    const int64_t place = token / (rows * columns);
    token %= rows * columns;
    row += place / order.strideW * rowStep;
    column += place % order.strideW * columnStep;
    rowStep *= order.strideH;
    columnStep *= order.strideW;
  }
  return (row + token / columns * rowStep) * gridW + column + token % columns * columnStep;
}

}  // namespace ved::ops
