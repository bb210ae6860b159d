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

ops::WordList BiasTable::appendTo(std::vector<int32_t>& words) const {
  const size_t groups = words.size();
  words.resize(groups + byLast_.size() * ops::kBiasGroupWords);
  size_t group = groups;
  for (const auto& [last, entries] : byLast_) {
    const size_t first = words.size();
    words[group] = last;
    words[group + 1] = static_cast<int32_t>(first);
    words[group + 2] = static_cast<int32_t>(entries.size());
    group += ops::kBiasGroupWords;
    words.resize(first + entries.size() * ops::kBiasEntryWords);
    for (size_t e = 0; e < entries.size(); ++e) {
      const size_t at = first + e * ops::kBiasEntryWords;
      words[at] = static_cast<int32_t>(ops::floatBits(entries[e].bias));
      words[at + 1] = static_cast<int32_t>(words.size());
      words[at + 2] = static_cast<int32_t>(entries[e].prefix.size());
      words.insert(words.end(), entries[e].prefix.begin(), entries[e].prefix.end());
    }
  }
  return {static_cast<int32_t>(groups), static_cast<int32_t>(byLast_.size())};
}

}  // namespace ved::decode
