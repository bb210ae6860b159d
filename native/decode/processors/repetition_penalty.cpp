#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

// Every distinct id of the row, the start token included: s * r below zero, s / r otherwise.
class RepetitionPenalty final : public RowProcessor {
 public:
  explicit RepetitionPenalty(float penalty) : penalty_(penalty) {}

 private:
  void applyRow(const Row& row) override {
    seen_.resize(row.scores.size(), 0);
    ++mark_;
    for (int32_t id : row.ids) {
      if (id < 0 || static_cast<size_t>(id) >= seen_.size() || seen_[id] == mark_) continue;
      seen_[id] = mark_;
      float& score = row.scores[id];
      score = score < 0 ? score * penalty_ : score / penalty_;
    }
  }

  float penalty_;
  uint64_t mark_ = 0;
  std::vector<uint64_t> seen_;  // mark of the last row that held the id
};

}  // namespace

ProcessorPtr makeRepetitionPenalty(const Options& options) {
  if (options.repetitionPenalty == 1.f) return nullptr;
  return std::make_unique<RepetitionPenalty>(options.repetitionPenalty);
}

}  // namespace ved::decode
