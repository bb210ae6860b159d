// Index arithmetic of shifted windows (Swin): plain functions, so that every backend and the tests share them and no
// rolled or partitioned copy of a map is ever made. The map is padded on the right and at the bottom to whole windows,
// moved up and left by `shift` around the edge, and cut into windows in row-major order; cells of a window are
// row-major too (transformers modeling_swin.py, SwinLayer).
#pragma once
#include <cstdint>

#include "core/host_device.h"

namespace ved::ops {

struct WindowMap {
  int64_t height = 0, width = 0;  // cells
  int64_t side = 0, shift = 0;    // of a window; 0 <= shift < side
};

VED_HOST_DEVICE inline int64_t windowRows(const WindowMap& m) { return (m.height + m.side - 1) / m.side; }
VED_HOST_DEVICE inline int64_t windowColumns(const WindowMap& m) { return (m.width + m.side - 1) / m.side; }
VED_HOST_DEVICE inline int64_t windowCount(const WindowMap& m) { return windowRows(m) * windowColumns(m); }

// Row-major position in the map of a window's cell; -1 where the map is padded.
VED_HOST_DEVICE inline int64_t windowToken(const WindowMap& m, int64_t window, int64_t cell) {
  const int64_t columns = windowColumns(m);
  const int64_t paddedHeight = windowRows(m) * m.side, paddedWidth = columns * m.side;
  const int64_t row = (window / columns * m.side + cell / m.side + m.shift) % paddedHeight;
  const int64_t column = (window % columns * m.side + cell % m.side + m.shift) % paddedWidth;
  return row < m.height && column < m.width ? row * m.width + column : -1;
}

// 0 before the last window of an axis, 1 in it, 2 in its part that came around the edge.
VED_HOST_DEVICE inline int windowAxisRegion(int64_t position, int64_t length, int64_t side, int64_t shift) {
  return (position >= length - side) + (position >= length - shift);
}

// Cells of one window attend to each other unmasked when their regions are equal. 0 .. 8; all 0 without a shift.
VED_HOST_DEVICE inline int windowRegion(const WindowMap& m, int64_t window, int64_t cell) {
  if (m.shift == 0) return 0;
  const int64_t columns = windowColumns(m);
  const int64_t row = window / columns * m.side + cell / m.side;
  const int64_t column = window % columns * m.side + cell % m.side;
  return 3 * windowAxisRegion(row, windowRows(m) * m.side, m.side, m.shift) +
         windowAxisRegion(column, columns * m.side, m.side, m.shift);
}

// Place in a table [2 gridH - 1, 2 gridW - 1] of the bias of a query and a key cell, both row-major in a grid of
// `gridW` columns: key minus query, so that the keys of one row lie side by side.
VED_HOST_DEVICE inline int64_t relativeIndex(int64_t gridH, int64_t gridW, int64_t query, int64_t key) {
  const int64_t rows = key / gridW - query / gridW + gridH - 1;
  return rows * (2 * gridW - 1) + key % gridW - query % gridW + gridW - 1;
}

}  // namespace ved::ops
