#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Drops what is less likely than q times the most likely token, but never one of the best few.
class MinP final : public RowProcessor {
 public:
  MinP(double q, int32_t keep) : q_(q), keep_(keep) {}

 private:
  void applyRow(const Row& row) override {
    const float max = maxOf(row.scores);
    best_.assign(row.scores);
    for (int32_t i = 0; i < std::min(keep_, best_.size()); ++i) saved_.push_back(best_[i]);
    for (float& score : row.scores)
      if (std::exp(static_cast<double>(score) - max) < q_) score = kMasked;
    for (const LazyOrder::Entry& entry : saved_) row.scores[entry.index] = entry.key;
    saved_.clear();
  }

  double q_;
  int32_t keep_;
  LazyOrder best_;
  std::vector<LazyOrder::Entry> saved_;
};

}  // namespace

ProcessorPtr makeMinP(const Options& options) {
  if (!options.hasMinP) return nullptr;
  return std::make_unique<MinP>(options.minP, minTokensToKeep(options));
}

}  // namespace ved::decode
