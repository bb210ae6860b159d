#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class Renormalize final : public RowProcessor {
  void applyRow(const Row& row) override {
    const float logSum = static_cast<float>(softmaxStats(row.scores).logSumExp());
    for (float& score : row.scores) score -= logSum;
  }
};

}  // namespace

ProcessorPtr makeRenormalize(const Options& options) {
  if (!options.renormalizeLogits) return nullptr;
  return std::make_unique<Renormalize>();
}

}  // namespace ved::decode
