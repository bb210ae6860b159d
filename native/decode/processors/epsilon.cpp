#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Drops probabilities below a fixed floor, but never one of the best few.
class Epsilon final : public RowProcessor {
 public:
  Epsilon(double floor, int32_t keep) : floor_(floor), keep_(keep) {}

 private:
  void applyRow(const Row& row) override {
    const double logSum = softmaxStats(row.scores).logSumExp();
    const float best = kthLargest(row.scores, std::min(keep_, static_cast<int32_t>(row.scores.size())), heap_);
    for (float& score : row.scores)
      if (score < best && std::exp(score - logSum) < floor_) score = kMasked;
  }

  double floor_;
  int32_t keep_;
  std::vector<float> heap_;
};

}  // namespace

ProcessorPtr makeEpsilon(const Options& options) {
  if (!(options.epsilonCutoff > 0.f && options.epsilonCutoff < 1.f)) return nullptr;
  return std::make_unique<Epsilon>(options.epsilonCutoff, minTokensToKeep(options));
}

}  // namespace ved::decode
