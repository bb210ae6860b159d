#include "decode/processors/bias_table.h"

#include <algorithm>

namespace ved::decode {

void BiasTable::add(const Ids& ids, float bias) {
  if (ids.empty()) return;
  Ids prefix(ids.begin(), ids.end() - 1);
  std::vector<Entry>& entries = byLast_[ids.back()];
  for (Entry& entry : entries) {
    if (entry.prefix == prefix) {
      entry.bias = bias;
      return;
    }
  }
  // The single id comes first, as it is the start of the sum.
  const auto at = prefix.empty() ? entries.begin() : entries.end();
  entries.insert(at, {std::move(prefix), bias});
}

void BiasTable::apply(const Row& row) const {
  for (const auto& [last, entries] : byLast_) {
    if (last < 0 || static_cast<size_t>(last) >= row.scores.size()) continue;
    float sum = 0;
    for (const Entry& entry : entries) {
      const Ids& prefix = entry.prefix;
      if (prefix.size() <= row.ids.size() && std::equal(prefix.rbegin(), prefix.rend(), row.ids.rbegin()))
        sum += entry.bias;
    }
    row.scores[last] += sum;
  }
}

}  // namespace ved::decode
