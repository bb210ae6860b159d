// Beam search and beam sampling of one image, per item what transformers 5 computes for a batch:
// - the best K = max(2, 1 + eos count) * B continuations of all live beams are ranked; those of the first B that end
//   go to the pool with score / length^penalty, the best B that do not end live on;
// - the pool keeps the best B; the search ends when no live beam can improve it, or by early_stopping.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "core/philox.h"
#include "decode/numeric.h"
#include "decode/rules.h"
#include "decode/single_search.h"

namespace ved::decode {

namespace {

struct Hypothesis {
  float score = 0;
  Ids ids;
  std::vector<float> logProbs;
  std::vector<int32_t> sources;
  FinishReason finish = FinishReason::None;
};

struct Candidate {
  float score;   // of the whole row, not normalised
  double rank;   // larger is better: the score, or its race time in beam sampling
  int64_t flat;  // beam * vocab + token
  int32_t beam, token;
  float logProb = 0;  // raw
  FinishReason finish = FinishReason::None;
};

bool better(const Candidate& a, const Candidate& b) { return a.rank > b.rank || (a.rank == b.rank && a.flat < b.flat); }

class BeamSearch final : public Search {
 public:
  BeamSearch(const Options& options, std::vector<int32_t> prompt);

  int32_t liveRows() const override { return done_ ? 0 : static_cast<int32_t>(live_.size()); }
  int32_t maxRows() const override { return options_.numBeams; }
  const std::vector<int32_t>& rules() override;
  LiveRow liveRow(int32_t i) const override {
    const Hypothesis& h = live_[static_cast<size_t>(i)];
    return {h.ids, h.score, step_, options_.seed, options_.sequenceIndex};
  }
  Step advance(float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary) override;
  Step advance(std::span<const ops::TokenChoice> choices) override;
  std::vector<Sequence> take() override;
  std::vector<std::vector<float>> takeScores() override { return std::move(scores_); }

 private:
  // Scores of one live row are values[j] - offset.
  struct RowView {
    const float* values;
    float offset;
  };

  void process(const float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary);
  void recordScores(int32_t vocab);
  void offer(const Candidate& candidate);
  void rankByScore(int32_t beam, int32_t vocab);
  void rankByRace(int32_t beam, int32_t vocab);
  void rankAll(int32_t vocab, const ops::RowSummary* summary);
  void extend(const Candidate& candidate, Hypothesis& out) const;
  void pool(const Candidate& candidate);
  void checkStops(int32_t vocab);
  Step finishStep();
  void selectLive(std::vector<int32_t>& chosen);
  bool poolFull() const { return static_cast<int32_t>(pool_.size()) == options_.numBeams; }
  bool closed() const { return frozen_ || (options_.earlyStopping == EarlyStopping::True && poolFull()); }
  float normalise(float score, int64_t length) const {
    return score /
           static_cast<float>(std::pow(static_cast<double>(length), static_cast<double>(options_.lengthPenalty)));
  }
  void updateFrozen();

  const Options options_;
  std::vector<ProcessorPtr> processors_;
  Stopping stopping_;
  Philox random_;
  size_t keep_;  // K
  std::vector<Hypothesis> live_, next_;
  std::vector<Hypothesis> pool_;  // best first
  std::optional<std::vector<int32_t>> rules_;
  std::vector<Candidate> candidates_;  // a heap while ranking, worst first; then best first
  std::vector<RowView> rows_;
  std::vector<const Ids*> rowIds_;
  std::vector<float> processed_;
  std::vector<std::vector<float>> scores_;
  Ids ids_;             // scratch: a candidate's row
  int64_t length_ = 0;  // generated tokens per live beam
  uint32_t step_ = 0;
  bool frozen_ = false, done_ = false;
};

BeamSearch::BeamSearch(const Options& options, std::vector<int32_t> prompt)
    : options_(options),
      processors_(makeProcessors(options_)),
      stopping_(options_),
      random_(options_.seed, options_.sequenceIndex),
      keep_(static_cast<size_t>(rankedCandidates(options_))) {
  live_.resize(1);
  live_[0].ids = std::move(prompt);
  candidates_.reserve(keep_);
}

// Log-probabilities after the processors. Without processors the logits stay as they are, with an offset.
void BeamSearch::process(const float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary) {
  rows_.clear();
  const bool materialise = !processors_.empty() || options_.outputScores || options_.userCriterion;
  if (!materialise) {
    for (size_t b = 0; b < live_.size(); ++b) rows_.push_back({logits + b * ld, summary[b].logSumExp});
    return;
  }
  processed_.resize(live_.size() * static_cast<size_t>(vocab));
  rowIds_.clear();
  for (size_t b = 0; b < live_.size(); ++b) {
    float* out = processed_.data() + b * static_cast<size_t>(vocab);
    const float* in = logits + b * ld;
    for (int32_t j = 0; j < vocab; ++j) out[j] = in[j] - summary[b].logSumExp;
    rowIds_.push_back(&live_[b].ids);
    rows_.push_back({out, 0.f});
  }
  const Rows rows{processed_.data(), vocab, rowIds_};
  for (const ProcessorPtr& processor : processors_) processor->apply(rows);
}

// numBeams rows: the first step's only row stands for all beams, later dead beams are -inf.
void BeamSearch::recordScores(int32_t vocab) {
  std::vector<float> all(static_cast<size_t>(options_.numBeams) * vocab, kMasked);
  std::copy(processed_.begin(), processed_.end(), all.begin());
  if (step_ == 0)
    for (int32_t b = 1; b < options_.numBeams; ++b)
      std::copy_n(processed_.begin(), vocab, all.begin() + static_cast<int64_t>(b) * vocab);
  scores_.push_back(std::move(all));
}

void BeamSearch::offer(const Candidate& candidate) {
  if (candidates_.size() < keep_) {
    candidates_.push_back(candidate);
  } else if (better(candidate, candidates_.front())) {
    std::pop_heap(candidates_.begin(), candidates_.end(), better);
    candidates_.back() = candidate;
  } else {
    return;
  }
  std::push_heap(candidates_.begin(), candidates_.end(), better);
}

// Only values that can still reach the heap are looked at one by one; the margin covers the rounding of the bound.
void BeamSearch::rankByScore(int32_t beam, int32_t vocab) {
  const RowView row = rows_[beam];
  const float base = live_[beam].score;
  const auto threshold = [&]() -> float {
    if (candidates_.size() < keep_) return kMasked;
    const float worst = candidates_.front().score;
    const float margin = 1e-6f * (std::fabs(worst) + std::fabs(base) + std::fabs(row.offset));
    const float bound = worst - base + row.offset - margin;
    return std::isnan(bound) ? kMasked : bound;
  };
  visitAbove(row.values, vocab, threshold, [&](int32_t token) {
    const float score = base + (row.values[token] - row.offset);
    if (score > kMasked) offer({score, score, static_cast<int64_t>(beam) * vocab + token, beam, token});
  });
}

// Drawing without replacement in proportion to exp(score): the K largest of score - log(q), q exponentially
// distributed, in the order of the draws.
void BeamSearch::rankByRace(int32_t beam, int32_t vocab) {
  const RowView row = rows_[beam];
  Philox::Block bits{};
  int64_t block = -1;
  for (int32_t token = 0; token < vocab; ++token) {
    const float score = live_[beam].score + (row.values[token] - row.offset);
    if (!(score > kMasked)) continue;
    const int64_t flat = static_cast<int64_t>(beam) * vocab + token;
    if (flat / 4 != block) bits = random_.block(step_, static_cast<uint32_t>(block = flat / 4));
    const double uniform = (bits[flat % 4] + 0.5) * 0x1p-32;
    offer({score, score - std::log(-std::log(uniform)), flat, beam, token});
  }
}

void BeamSearch::rankAll(int32_t vocab, const ops::RowSummary* summary) {
  candidates_.clear();
  for (int32_t b = 0; b < static_cast<int32_t>(live_.size()); ++b) {
    if (options_.doSample)
      rankByRace(b, vocab);
    else
      rankByScore(b, vocab);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), better);
  // Nothing is allowed, or the model produced NaN: go on with something legal, so that the search ends.
  if (candidates_.empty()) {
    const int32_t token = std::clamp(summary[0].argmax, 0, vocab - 1);
    candidates_.push_back({kMasked, kMasked, token, 0, token});
  }
}

void BeamSearch::extend(const Candidate& candidate, Hypothesis& out) const {
  const Hypothesis& parent = live_[candidate.beam];
  out.score = candidate.score;
  out.finish = candidate.finish;
  out.ids = parent.ids;
  out.ids.push_back(candidate.token);
  out.logProbs = parent.logProbs;
  out.logProbs.push_back(candidate.logProb);
  out.sources = parent.sources;
  out.sources.push_back(candidate.beam);
}

void BeamSearch::pool(const Candidate& candidate) {
  const float score = normalise(candidate.score, length_ + 1);
  if (poolFull() && !(score > pool_.back().score)) return;
  if (poolFull()) pool_.pop_back();
  // Behind entries of the same score: the older one stays first.
  const auto at = std::find_if(pool_.begin(), pool_.end(), [&](const Hypothesis& h) { return score > h.score; });
  Hypothesis& entry = *pool_.emplace(at);
  extend(candidate, entry);
  entry.score = score;
}

void BeamSearch::checkStops(int32_t vocab) {
  for (Candidate& candidate : candidates_) {
    ids_ = live_[candidate.beam].ids;
    ids_.push_back(candidate.token);
    std::span<const float> scores;
    if (vocab > 0) scores = {rows_[candidate.beam].values, static_cast<size_t>(vocab)};
    candidate.finish = stopping_.check(ids_, scores, candidate.beam);
  }
}

// The best B candidates that go on. A sampled ranking is the order of the draws; beams are ordered by score.
void BeamSearch::selectLive(std::vector<int32_t>& chosen) {
  for (size_t i = 0; i < candidates_.size(); ++i)
    if (candidates_[i].finish == FinishReason::None) chosen.push_back(static_cast<int32_t>(i));
  if (options_.doSample)
    std::stable_sort(chosen.begin(), chosen.end(),
                     [&](int32_t a, int32_t b) { return candidates_[a].score > candidates_[b].score; });
  if (chosen.size() > static_cast<size_t>(options_.numBeams)) chosen.resize(static_cast<size_t>(options_.numBeams));
}

// Frozen: no live beam can enter the pool any more.
void BeamSearch::updateFrozen() {
  if (!poolFull()) return;
  const bool never = options_.earlyStopping == EarlyStopping::Never && options_.lengthPenalty > 0;
  const int64_t horizon = never ? options_.maxLength - options_.promptLength : length_;
  if (!(normalise(live_[0].score, horizon) > pool_.back().score)) frozen_ = true;
}

Step BeamSearch::advance(float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary) {
  stopping_.beginStep();
  process(logits, ld, vocab, summary);
  if (options_.outputScores) recordScores(vocab);
  rankAll(vocab, summary);
  for (Candidate& c : candidates_) c.logProb = logits[c.beam * ld + c.token] - summary[c.beam].logSumExp;
  checkStops(vocab);
  return finishStep();
}

const std::vector<int32_t>& BeamSearch::rules() {
  if (!rules_) rules_ = makeRules(options_);
  return *rules_;
}

Step BeamSearch::advance(std::span<const ops::TokenChoice> choices) {
  stopping_.beginStep();
  candidates_.clear();  // they come ranked: only beam sampling looks at ranks later, and it is not done this way
  for (const ops::TokenChoice& c : choices)
    if (c.token >= 0) candidates_.push_back({c.score, c.score, 0, c.row, c.token, c.logProb});
  checkStops(0);
  return finishStep();
}

// Of the ranked candidates: those that end go to the pool, those that do not live on.
Step BeamSearch::finishStep() {
  if (!closed()) {
    const size_t ranks = std::min(candidates_.size(), static_cast<size_t>(options_.numBeams));
    for (size_t i = 0; i < ranks; ++i)
      if (candidates_[i].finish != FinishReason::None) pool(candidates_[i]);
  }
  Step step;
  std::vector<int32_t> chosen;
  selectLive(chosen);
  next_.resize(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Candidate& candidate = candidates_[chosen[i]];
    extend(candidate, next_[i]);
    step.parents.push_back(candidate.beam);
    step.tokens.push_back(candidate.token);
    step.logProbs.push_back(next_[i].logProbs.back());
  }
  live_.swap(next_);
  ++length_;
  ++step_;
  if (!live_.empty()) updateFrozen();
  done_ = step.done = live_.empty() || closed();
  return step;
}

// A search that found fewer sequences than it must return (a rule that leaves one path) repeats its last one.
std::vector<Sequence> BeamSearch::take() {
  constexpr float kDead = -1e9f;
  std::vector<Sequence> result;
  const auto wanted = static_cast<size_t>(options_.numReturnSequences);
  for (size_t i = 0; i < std::min(wanted, pool_.size()); ++i) {
    Hypothesis& h = pool_[i];
    result.push_back({std::move(h.ids), std::move(h.logProbs), h.score, std::move(h.sources), h.finish});
  }
  while (!result.empty() && result.size() < wanted) {
    result.push_back(result.back());
    result.back().score = kDead;
  }
  return result;
}

}  // namespace

std::unique_ptr<Search> makeBeam(const Options& options, std::vector<int32_t> prompt) {
  return std::make_unique<BeamSearch>(options, std::move(prompt));
}

}  // namespace ved::decode
