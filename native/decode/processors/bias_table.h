// Biases on the last id of a sequence, applied when the row ends with the ids before it. Shared by sequence bias and
// bad words.
#pragma once
#include <map>

#include "decode/processors/processor.h"

namespace ved::decode {

class BiasTable {
 public:
  // A repeated sequence takes the later bias.
  void add(const Ids& ids, float bias);
  bool empty() const { return byLast_.empty(); }
  void apply(const Row& row) const;
  // Appends groups and entries to a block of ops::SelectRules.
  ops::WordList appendTo(std::vector<int32_t>& words) const;

 private:
  struct Entry {
    Ids prefix;
    float bias;
  };
  std::map<int32_t, std::vector<Entry>> byLast_;  // last id -> entries in order of insertion
};

BiasTable sequenceBiasTable(const Options& options);
BiasTable badWordsTable(const Options& options);

}  // namespace ved::decode
