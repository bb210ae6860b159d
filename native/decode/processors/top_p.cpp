#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// In descending order a token stays while the tokens before it hold less than p of the mass.
class TopP final : public RowProcessor {
 public:
  TopP(double p, int32_t keep) : p_(p), keep_(keep) {}

 private:
  void applyRow(const Row& row) override {
    const SoftmaxStats stats = softmaxStats(row.scores);
    order_.assign(row.scores);
    kept_.clear();
    double before = 0;
    for (int32_t i = 0; i < order_.size() && (i < keep_ || before < p_); ++i) {
      kept_.push_back(order_[i]);
      before += std::exp(static_cast<double>(order_[i].key) - stats.max) / stats.sum;
    }
    maskAll(row.scores);
    for (const LazyOrder::Entry& entry : kept_) row.scores[entry.index] = entry.key;
  }

  double p_;
  int32_t keep_;
  LazyOrder order_;
  std::vector<LazyOrder::Entry> kept_;
};

}  // namespace

ProcessorPtr makeTopP(const Options& options) {
  if (!(options.topP < 1.f)) return nullptr;
  return std::make_unique<TopP>(options.topP, minTokensToKeep(options));
}

}  // namespace ved::decode
