// Masking a fixed list of ids.
#pragma once
#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

inline void maskIds(const Row& row, const Ids& ids) {
  for (int32_t id : ids)
    if (id >= 0 && static_cast<size_t>(id) < row.scores.size()) row.scores[id] = kMasked;
}

// Only these ids remain, at score 0.
inline void forceIds(const Row& row, const Ids& ids) {
  maskAll(row.scores);
  for (int32_t id : ids)
    if (id >= 0 && static_cast<size_t>(id) < row.scores.size()) row.scores[id] = 0;
}

}  // namespace ved::decode
