// Attention inside shifted windows: the cells of a window are gathered by index, one head at a time, into a strip that
// the panel kernels of ordinary attention then work on. Nothing is rolled or partitioned in memory.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/blocks.h"
#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/relative_bias.h"

namespace ved::ops::cpu {
namespace {

// Sizes and scratch layout, equal for every (image, window, head) of a call.
struct Layout {
  const KernelTable& kernels;
  const WindowAttentionArgs& a;
  int64_t cells, nr, stripWidth, keys, values, query, strip, weights, gathered, regions, total;

  Layout(const KernelTable& k, const WindowAttentionArgs& args) : kernels(k), a(args) {
    cells = a.map.side * a.map.side;
    nr = k.panelWidth;
    stripWidth = padded(cells, nr);
    int64_t at = 0;
    const auto take = [&at](int64_t floats) {
      const int64_t begin = at;
      at += padded(floats + kPackSlack, 16);
      return begin;
    };
    keys = take(stripWidth * a.headDim);
    values = take(padded(a.headDim, nr) * cells);
    query = take(k.tileRows * a.headDim);
    strip = take(k.tileRows * stripWidth);
    weights = take(k.tileRows * cells);
    gathered = take(2 * cells * a.headDim);  // queries, then keys
    regions = take(cells);
    total = at;
  }
};

class WindowHead {
 public:
  WindowHead(const Layout& layout, int64_t image, int64_t window, int64_t head, float* scratch)
      : l_(layout), a_(layout.a), window_(window), head_(head), scratch_(scratch) {
    const int64_t width = a_.heads * a_.headDim, image0 = image * a_.map.height * a_.map.width;
    qkv_ = a_.qkv + image0 * 3 * width + head * a_.headDim;
    out_ = a_.out + image0 * width + head * a_.headDim;
  }

  void run() const {
    gather();
    for (int64_t row = 0; row < l_.cells; row += l_.kernels.tileRows)
      tile(row, std::min<int64_t>(l_.kernels.tileRows, l_.cells - row));
  }

 private:
  int64_t token(int64_t cell) const { return windowToken(a_.map, window_, cell); }

  const float* row(int64_t cell) const {
    const int64_t t = token(cell);
    return t < 0 ? a_.padding + head_ * a_.headDim : qkv_ + t * 3 * a_.heads * a_.headDim;
  }

  void copyRow(const float* from, float* to) const {
    std::memcpy(to, from, static_cast<size_t>(a_.headDim) * sizeof(float));
    if (a_.similarity == Similarity::Dot) return;
    float squares = 0;
    for (int64_t d = 0; d < a_.headDim; ++d) squares += to[d] * to[d];
    const float inverse = 1.0f / std::max(std::sqrt(squares), 1e-12f);
    for (int64_t d = 0; d < a_.headDim; ++d) to[d] *= inverse;
  }

  // Queries and keys as rows, keys then as panels over the cells, values as panels over the head's width.
  void gather() const {
    const int64_t width = a_.heads * a_.headDim, dim = a_.headDim;
    float* queries = scratch_ + l_.gathered;
    float* keyRows = queries + l_.cells * dim;
    float* values = scratch_ + l_.values;
    for (int64_t cell = 0; cell < l_.cells; ++cell) {
      const float* from = row(cell);
      scratch_[l_.regions + cell] = static_cast<float>(windowRegion(a_.map, window_, cell));
      copyRow(from, queries + cell * dim);
      copyRow(from + width, keyRows + cell * dim);
      for (int64_t d = 0; d < dim; d += l_.nr) {
        float* to = values + d * l_.cells + cell * l_.nr;
        const int64_t columns = std::min(l_.nr, dim - d);
        std::memcpy(to, from + 2 * width + d, static_cast<size_t>(columns) * sizeof(float));
        std::fill(to + columns, to + l_.nr, 0.0f);
      }
    }
    float* keys = scratch_ + l_.keys;
    // Lanes behind the last cell are computed and ignored, but must not be uninitialised memory.
    std::fill(keys + (l_.stripWidth - l_.nr) * dim, keys + l_.stripWidth * dim + kPackSlack, 0.0f);
    for (int64_t t = 0; t < l_.cells; t += l_.nr)
      l_.kernels.packRows(keyRows + t * dim, dim, std::min(l_.nr, l_.cells - t), dim, keys + t * dim, l_.nr);
  }

  void addMask(int64_t query, float* scores) const {
    if (a_.map.shift == 0) return;
    const float* regions = scratch_ + l_.regions;
    for (int64_t u = 0; u < l_.cells; ++u) scores[u] += regions[u] == regions[query] ? 0.0f : a_.mask;
  }

  void tile(int64_t first, int64_t rows) const {
    const int64_t dim = a_.headDim;
    float* query = scratch_ + l_.query;
    float* strip = scratch_ + l_.strip;
    float* weights = scratch_ + l_.weights;
    const float* keys = scratch_ + l_.keys;
    l_.kernels.packRows(scratch_ + l_.gathered + first * dim, dim, rows, dim, query, rows);
    for (int64_t n = 0; n < l_.cells; n += l_.nr)
      l_.kernels.f32.panel[rows](query, keys + n * dim, dim, strip + n, l_.stripWidth, keys, 0);
    for (int64_t i = 0; i < rows; ++i) {
      float* scores = strip + i * l_.stripWidth;
      addRelativeBias(a_.bias, head_, first + i, a_.scale[head_], scores);
      addMask(first + i, scores);
      l_.kernels.softmaxRow(scores, l_.cells, 1.0f);
    }
    l_.kernels.packRows(strip, l_.stripWidth, rows, l_.cells, weights, rows);
    mix(weights, first, rows);
  }

  void mix(const float* weights, int64_t first, int64_t rows) const {
    alignas(64) float tile[kMaxTileRows * kMaxPanelWidth];
    const int64_t width = a_.heads * a_.headDim;
    for (int64_t d = 0; d < a_.headDim; d += l_.nr) {
      const float* values = scratch_ + l_.values + d * l_.cells;
      l_.kernels.f32.panel[rows](weights, values, l_.cells, tile, l_.nr, values, 0);
      const size_t bytes = static_cast<size_t>(std::min(l_.nr, a_.headDim - d)) * sizeof(float);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t t = token(first + i);
        if (t >= 0) std::memcpy(out_ + t * width + d, tile + i * l_.nr, bytes);
      }
    }
  }

  const Layout& l_;
  const WindowAttentionArgs& a_;
  int64_t window_, head_;
  float* scratch_;
  const float* qkv_;
  float* out_;
};

}  // namespace

void CpuBackend::windowAttention(const WindowAttentionArgs& a) {
  const Layout layout(*kernels_, a);
  const int64_t windows = windowCount(a.map);
  pool_.parallelFor(a.batch * windows * a.heads, [&](int64_t index, int worker) {
    const int64_t head = index % a.heads, window = index / a.heads % windows, image = index / (a.heads * windows);
    float* scratch = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(layout.total));
    WindowHead(layout, image, window, head, scratch).run();
  });
}

}  // namespace ved::ops::cpu
