#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Of the best 100 tokens, the prefix whose summed entropy terms stay within h times their total; the best always.
class TopH final : public RowProcessor {
 public:
  explicit TopH(double h) : h_(h) {}

 private:
  static constexpr int32_t kCandidates = 100;

  void applyRow(const Row& row) override {
    order_.assign(row.scores);
    const int32_t n = std::min(order_.size(), kCandidates);
    if (n == 0) return;
    collectTerms(n);
    const double limit = h_ * std::accumulate(terms_.begin(), terms_.end(), 0.0);
    double used = terms_[0];
    int32_t keep = 1;
    while (keep < n && (used += terms_[keep]) <= limit) ++keep;
    kept_.clear();
    for (int32_t i = 0; i < keep; ++i) kept_.push_back(order_[i]);
    maskAll(row.scores);
    for (const LazyOrder::Entry& entry : kept_) row.scores[entry.index] = entry.key;
  }

  // -p log p of a softmax over the candidates alone.
  void collectTerms(int32_t n) {
    const double max = order_[0].key;
    double sum = 0;
    for (int32_t i = 0; i < n; ++i) sum += std::exp(order_[i].key - max);
    terms_.clear();
    for (int32_t i = 0; i < n; ++i) {
      const double logP = order_[i].key - max - std::log(sum);
      terms_.push_back(-std::exp(logP) * logP);
    }
  }

  double h_;
  LazyOrder order_;
  std::vector<double> terms_;
  std::vector<LazyOrder::Entry> kept_;
};

}  // namespace

ProcessorPtr makeTopH(const Options& options) {
  if (!options.hasTopH) return nullptr;
  return std::make_unique<TopH>(options.topH);
}

}  // namespace ved::decode
