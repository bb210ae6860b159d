#include <cmath>

#include "core/philox.h"
#include "decode/numeric.h"
#include "decode/single_search.h"

namespace ved::decode {

namespace {

// One uniform number per step, inverted through the cumulative distribution in id order.
class Sampling final : public SingleSearch {
 public:
  Sampling(const Options& options, std::vector<int32_t> prompt)
      : SingleSearch(options, std::move(prompt)), random_(options.seed, options.sequenceIndex) {}

 private:
  int32_t pick(std::span<const float> scores, int32_t fallback) override {
    const int32_t best = argmaxOf(scores);
    if (best < 0) return fallback;
    const double max = scores[best];
    double sum = 0;
    candidates_.clear();
    for (size_t i = 0; i < scores.size(); ++i) {
      if (!(scores[i] > kMasked)) continue;
      sum += std::exp(scores[i] - max);
      candidates_.push_back({sum, static_cast<int32_t>(i)});
    }
    if (!std::isfinite(sum)) return best;
    const double target = random_.uniform(step_) * sum;
    const auto above = [](double t, const Candidate& c) { return t < c.cumulative; };
    const auto it = std::upper_bound(candidates_.begin(), candidates_.end(), target, above);
    return it == candidates_.end() ? best : it->token;
  }

  struct Candidate {
    double cumulative;
    int32_t token;
  };
  Philox random_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::unique_ptr<Search> makeSampling(const Options& options, std::vector<int32_t> prompt) {
  return std::make_unique<Sampling>(options, std::move(prompt));
}

}  // namespace ved::decode
