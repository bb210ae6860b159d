#include "decode/numeric.h"
#include "decode/single_search.h"

namespace ved::decode {

namespace {

class Greedy final : public SingleSearch {
 public:
  using SingleSearch::SingleSearch;

 private:
  int32_t pick(std::span<const float> scores, int32_t fallback) override {
    const int32_t best = argmaxOf(scores);
    return best < 0 ? fallback : best;
  }
  int32_t pickUnprocessed(std::span<const float>, const ops::RowSummary&, int32_t fallback) override {
    return fallback;  // the argmax, made legal
  }
};

}  // namespace

std::unique_ptr<Search> makeGreedy(const Options& options, std::vector<int32_t> prompt) {
  return std::make_unique<Greedy>(options, std::move(prompt));
}

}  // namespace ved::decode
