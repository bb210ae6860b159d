#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Keeps the tokens whose surprise is nearest to the entropy until they hold the mass.
class Typical final : public RowProcessor {
 public:
  Typical(double mass, int32_t keep) : mass_(mass), keep_(keep) {}

 private:
  void applyRow(const Row& row) override {
    const SoftmaxStats stats = softmaxStats(row.scores);
    const double logSum = stats.logSumExp(), entropy = entropyOf(row.scores, stats);
    order_.clear();
    for (size_t i = 0; i < row.scores.size(); ++i)
      if (row.scores[i] > kMasked) order_.add(distanceKey(row.scores[i] - logSum, entropy), static_cast<int32_t>(i));
    const int32_t keep = countKept(row, logSum);
    kept_.clear();
    for (int32_t i = 0; i < keep; ++i) kept_.push_back({row.scores[order_[i].index], order_[i].index});
    maskAll(row.scores);
    for (const LazyOrder::Entry& entry : kept_) row.scores[entry.index] = entry.key;
  }

  static float distanceKey(double logP, double entropy) { return static_cast<float>(-std::fabs(-logP - entropy)); }

  // The token that completes the mass stays, with everything at its distance.
  int32_t countKept(const Row& row, double logSum) {
    const int32_t n = order_.size();
    int32_t last = 0;
    double mass = 0;
    for (; last < n; ++last) {
      mass += std::exp(row.scores[order_[last].index] - logSum);
      if (!(mass < mass_)) break;
    }
    if (last >= n) return n;
    const float limit = order_[last].key;
    int32_t keep = last + 1;
    while (keep < n && (keep < keep_ || order_[keep].key >= limit)) ++keep;
    return keep;
  }

  double mass_;
  int32_t keep_;
  LazyOrder order_;
  std::vector<LazyOrder::Entry> kept_;
};

}  // namespace

ProcessorPtr makeTypical(const Options& options) {
  if (!(options.typicalP < 1.f)) return nullptr;
  return std::make_unique<Typical>(options.typicalP, minTokensToKeep(options));
}

}  // namespace ved::decode
