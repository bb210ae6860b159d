#include <cmath>
#include <limits>

#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class RemoveInvalid final : public RowProcessor {
  // NaN becomes 0, infinities the largest finite values.
  void applyRow(const Row& row) override {
    constexpr float kMax = std::numeric_limits<float>::max();
    for (float& score : row.scores) {
      if (std::isnan(score))
        score = 0;
      else if (score > kMax)
        score = kMax;
      else if (score < -kMax)
        score = -kMax;
    }
  }
};

}  // namespace

ProcessorPtr makeRemoveInvalid(const Options& options) {
  if (!options.removeInvalidValues) return nullptr;
  return std::make_unique<RemoveInvalid>();
}

}  // namespace ved::decode
