// The one-row strategies: greedy and sampling differ only in how a token is picked from processed scores.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "decode/processors/processor.h"
#include "decode/search.h"
#include "decode/stopping.h"

namespace ved::decode {

class SingleSearch : public Search {
 public:
  SingleSearch(const Options& options, std::vector<int32_t> prompt);

  int32_t liveRows() const override { return done_ ? 0 : 1; }
  int32_t maxRows() const override { return 1; }
  const std::vector<int32_t>& rules() override;
  LiveRow liveRow(int32_t) const override { return {sequence_.ids, 0, step_, options_.seed, options_.sequenceIndex}; }
  Step advance(float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary) override;
  Step advance(std::span<const ops::TokenChoice> choices) override;
  std::vector<Sequence> take() override;
  std::vector<std::vector<float>> takeScores() override { return std::move(scores_); }

 protected:
  // fallback: a legal token for scores that allow no choice.
  virtual int32_t pick(std::span<const float> scores, int32_t fallback) = 0;
  // The plain case: raw logits whose argmax is known.
  virtual int32_t pickUnprocessed(std::span<const float> logits, const ops::RowSummary&, int32_t fallback) {
    return pick(logits, fallback);
  }
  const Options options_;
  uint32_t step_ = 0;

 private:
  Step finishStep(int32_t token, float logProb, std::span<const float> scores);

  std::vector<ProcessorPtr> processors_;
  Stopping stopping_;
  Sequence sequence_;
  std::optional<std::vector<int32_t>> rules_;
  std::vector<float> processed_;
  std::vector<std::vector<float>> scores_;
  bool done_ = false;
};

std::unique_ptr<Search> makeGreedy(const Options& options, std::vector<int32_t> prompt);
std::unique_ptr<Search> makeSampling(const Options& options, std::vector<int32_t> prompt);
std::unique_ptr<Search> makeBeam(const Options& options, std::vector<int32_t> prompt);

}  // namespace ved::decode
