#include "plan/loader.h"

#include <cmath>
#include <limits>

namespace ved::plan {

void Loader::queue(Packing packing, spec::LinearLayout layout) {
  if (layout == spec::LinearLayout::InOut) {
    packing.count = packing.in;
    columns_.push_back(std::move(packing));
    return;
  }
  const int64_t blocks = std::max<int64_t>(1, kChunkElements / (packing.in * kBlockOutputs));
  for (int64_t row = 0; row < packing.out; row += packing.count) {
    // The first chunk ends where a block of the weight does, so that the others are whole blocks.
    const int64_t lines = row == 0 ? blocks * kBlockOutputs - packing.row % kBlockOutputs : blocks * kBlockOutputs;
    packing.first = row;
    packing.count = std::min(lines, packing.out - row);
    rows_.push_back(packing);
  }
}

void Loader::packPending() {
  const int64_t columns = static_cast<int64_t>(columns_.size()), rows = static_cast<int64_t>(rows_.size());
  // Those stored [in, out] first: they are the largest tasks.
  backend_.parallelFor(columns + rows, [&](int64_t index, int worker) {
    checkpoint();
    std::vector<float>& chunk = chunks_[static_cast<size_t>(worker)];
    if (index < columns)
      packColumns(columns_[static_cast<size_t>(index)], chunk);
    else
      packRows(rows_[static_cast<size_t>(index - columns)], chunk);
  });
  for (ops::LinearWeight* weight : unsealed_) {
    weight->seal();
    bytes += weight->bytes();
  }
  columns_.clear();
  rows_.clear();
  unsealed_.clear();
  pendingElements_ = 0;
}

void Loader::packRows(const Packing& p, std::vector<float>& chunk) const {
  chunk.resize(std::max(chunk.size(), static_cast<size_t>(p.count * p.in)));
  reader_.read(p.tensor, p.first * p.in, p.count * p.in, chunk.data());
  const int64_t row = p.row + p.first;
  for (int64_t i = 0; p.scale && i < p.count; ++i)
    for (int64_t k = 0; k < p.in; ++k)
      chunk[static_cast<size_t>(i * p.in + k)] *= (*p.scale)[static_cast<size_t>(row + i)];
  p.weight->setBlock(row, p.count, 0, p.in, chunk.data(), p.in, 1);
}

const float* Loader::readLines(const Packing& p, int64_t first, int64_t count, std::vector<float>& chunk) const {
  reader_.read(p.tensor, first * p.out, count * p.out, chunk.data());
  for (int64_t i = 0; p.scale && i < count; ++i)
    for (int64_t n = 0; n < p.out; ++n)
      chunk[static_cast<size_t>(i * p.out + n)] *= (*p.scale)[static_cast<size_t>(p.row + n)];
  return chunk.data();
}

// Lines in multiples of 4, the largest unit of a packed layout. Matrices that do not fit a chunk are read twice where
// their scales must be known first, so that nothing of their size is held beside the packed weight.
void Loader::packColumns(const Packing& p, std::vector<float>& chunk) const {
  const int64_t lines = std::max<int64_t>(4, kChunkElements / p.out / 4 * 4);
  chunk.resize(std::max(chunk.size(), static_cast<size_t>(std::min(lines, p.in) * p.out)));
  if (p.in > lines && p.weight->needsMagnitudes()) findMagnitudes(p, chunk);
  for (int64_t line = 0; line < p.in; line += lines) {
    const int64_t count = std::min(lines, p.in - line);
    p.weight->setBlock(p.row, p.out, line, count, readLines(p, line, count, chunk), 1, p.out);
  }
}

void Loader::findMagnitudes(const Packing& p, std::vector<float>& chunk) const {
  const int64_t lines = static_cast<int64_t>(chunk.size()) / p.out;
  std::vector<float> top(static_cast<size_t>(p.out)), probe(top.size());  // probe: NaN as soon as one is not finite
  for (int64_t line = 0; line < p.in; line += lines) {
    const int64_t count = std::min(lines, p.in - line);
    const float* x = readLines(p, line, count, chunk);
    for (int64_t i = 0; i < count; ++i, x += p.out)
      for (int64_t n = 0; n < p.out; ++n) {
        const float magnitude = std::fabs(x[n]);
        float& largest = top[static_cast<size_t>(n)];
        largest = magnitude > largest ? magnitude : largest;
        probe[static_cast<size_t>(n)] += x[n] * 0.0f;
      }
  }
  for (size_t n = 0; n < top.size(); ++n)
    if (probe[n] != 0.0f) top[n] = std::numeric_limits<float>::quiet_NaN();
  p.weight->setMagnitudes(p.row, p.out, top.data());
}

}  // namespace ved::plan
