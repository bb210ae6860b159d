#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Everything below the k-th largest goes; ties with it stay.
class TopK final : public RowProcessor {
 public:
  explicit TopK(int32_t k) : k_(k) {}

 private:
  void applyRow(const Row& row) override {
    const int32_t k = std::min(k_, static_cast<int32_t>(row.scores.size()));
    const float limit = kthLargest(row.scores, k, heap_);
    for (float& score : row.scores)
      if (score < limit) score = kMasked;
  }

  int32_t k_;
  std::vector<float> heap_;
};

}  // namespace

ProcessorPtr makeTopK(const Options& options) {
  if (options.topK <= 0) return nullptr;
  return std::make_unique<TopK>(std::max(options.topK, minTokensToKeep(options)));
}

}  // namespace ved::decode
