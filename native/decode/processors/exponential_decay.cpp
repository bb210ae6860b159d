#include <cmath>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Once L > start: eos += |eos| * (factor^(L - start) - 1). A masked end token stays masked (the formula alone would
// give -inf + inf).
class ExponentialDecay final : public RowProcessor {
 public:
  ExponentialDecay(int64_t start, double factor, Ids eos) : start_(start), factor_(factor), eos_(std::move(eos)) {}

 private:
  void applyRow(const Row& row) override {
    const int64_t over = static_cast<int64_t>(row.ids.size()) - start_;
    if (over <= 0) return;
    const float growth = static_cast<float>(std::pow(factor_, static_cast<double>(over)) - 1.0);
    for (int32_t id : eos_) {
      if (id < 0 || static_cast<size_t>(id) >= row.scores.size() || row.scores[id] == kMasked) continue;
      row.scores[id] += std::fabs(row.scores[id]) * growth;
    }
  }

  int64_t start_;
  double factor_;
  Ids eos_;
};

}  // namespace

ProcessorPtr makeExponentialDecay(const Options& options) {
  if (!options.hasExponentialDecay || options.eosTokenIds.empty()) return nullptr;
  const int64_t start = static_cast<int64_t>(options.decayStart) + options.promptLength;
  return std::make_unique<ExponentialDecay>(start, options.decayFactor, options.eosTokenIds);
}

}  // namespace ved::decode
