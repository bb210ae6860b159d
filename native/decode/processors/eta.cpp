#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Like epsilon, with a floor that falls where the distribution is flat: min(e, sqrt(e) * exp(-entropy)).
class Eta final : public RowProcessor {
 public:
  Eta(double epsilon, int32_t keep) : epsilon_(epsilon), keep_(keep) {}

 private:
  void applyRow(const Row& row) override {
    const SoftmaxStats stats = softmaxStats(row.scores);
    const double floor = std::min(epsilon_, std::sqrt(epsilon_) * std::exp(-entropyOf(row.scores, stats)));
    const double logSum = stats.logSumExp();
    const float best = kthLargest(row.scores, std::min(keep_, static_cast<int32_t>(row.scores.size())), heap_);
    for (float& score : row.scores)
      if (score < best && std::exp(score - logSum) < floor) score = kMasked;
  }

  double epsilon_;
  int32_t keep_;
  std::vector<float> heap_;
};

}  // namespace

ProcessorPtr makeEta(const Options& options) {
  if (!(options.etaCutoff > 0.f && options.etaCutoff < 1.f)) return nullptr;
  return std::make_unique<Eta>(options.etaCutoff, minTokensToKeep(options));
}

}  // namespace ved::decode
