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

 private:
  struct Entry {
    Ids prefix;
    float bias;
  };
  std::map<int32_t, std::vector<Entry>> byLast_;  // last id -> entries in order of insertion
};

}  // namespace ved::decode
