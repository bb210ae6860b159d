#include "decode/single_search.h"

#include <algorithm>

#include "decode/rules.h"

namespace ved::decode {

SingleSearch::SingleSearch(const Options& options, std::vector<int32_t> prompt)
    : options_(options), processors_(makeProcessors(options_)), stopping_(options_) {
  sequence_.ids = std::move(prompt);
  sequence_.ids.reserve(static_cast<size_t>(options_.maxLength));
}

Step SingleSearch::advance(float* logits, int64_t, int32_t vocab, const ops::RowSummary* summary) {
  stopping_.beginStep();
  const int32_t fallback = std::clamp(summary->argmax, 0, vocab - 1);
  const auto size = static_cast<size_t>(vocab);
  std::span<const float> scores{logits, size};
  int32_t token;
  if (processors_.empty()) {
    token = pickUnprocessed(scores, *summary, fallback);
  } else {
    processed_.assign(logits, logits + vocab);
    const Ids* const ids = &sequence_.ids;
    const Rows rows{processed_.data(), vocab, {&ids, 1}};
    for (const ProcessorPtr& processor : processors_) processor->apply(rows);
    scores = processed_;
    token = pick(scores, fallback);
  }
  ++step_;
  return finishStep(token, logits[token] - summary->logSumExp, scores);
}

// Made when first asked for: a backend of the host's memory never does.
const std::vector<int32_t>& SingleSearch::rules() {
  if (!rules_) rules_ = makeRules(options_);
  return *rules_;
}

Step SingleSearch::advance(std::span<const ops::TokenChoice> choices) {
  stopping_.beginStep();
  ++step_;
  return finishStep(choices[0].token, choices[0].logProb, {});
}

Step SingleSearch::finishStep(int32_t token, float logProb, std::span<const float> scores) {
  if (options_.outputScores) scores_.emplace_back(scores.begin(), scores.end());
  sequence_.ids.push_back(token);
  sequence_.tokenLogProbs.push_back(logProb);
  sequence_.finish = stopping_.check(sequence_.ids, scores, 0);
  done_ = sequence_.finish != FinishReason::None;
  Step step;
  step.done = done_;
  step.emitted = token;
  step.emittedLogProb = logProb;
  step.emittedFinish = sequence_.finish;
  if (!done_) {
    step.parents.push_back(0);
    step.tokens.push_back(token);
    step.logProbs.push_back(logProb);
  }
  return step;
}

std::vector<Sequence> SingleSearch::take() {
  std::vector<Sequence> result;
  result.push_back(std::move(sequence_));
  return result;
}

}  // namespace ved::decode
