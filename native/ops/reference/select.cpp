// selectTokens() step by step: scores in a vector, everything found by sorting.
#include <algorithm>
#include <limits>
#include <vector>

#include "ops/reference/reference.h"

namespace ved::ops::reference {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

struct Scored {
  float score;
  int32_t row, token;
};

bool better(const Scored& a, const Scored& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.row != b.row ? a.row < b.row : a.token < b.token;
}

// One row with its rules.
class Selection {
 public:
  Selection(const SelectArgs& a, int64_t row)
      : info_(a.rowInfo[row]),
        block_(a.rules + info_.rules),
        rules_(rulesAt(block_)),
        logits_(a.logits + row * a.ld, a.logits + row * a.ld + a.vocab),
        summary_(summarize(a.logits + row * a.ld, a.vocab)),
        history_{a.ids ? a.ids + info_.line * a.capacity : nullptr, info_.length},
        scale_(scaleBits(a.vocab)) {
    scores_ = logits_;
    if (rules_.pick == Pick::Beams)
      for (float& s : scores_) s -= summary_.logSumExp;
    if (edits(rules_, info_.length)) edit();
    if (rules_.temperature != 1.0f)
      for (float& s : scores_) s /= rules_.temperature;
    if (rules_.renormalize && rules_.pick != Pick::Draw) renormalize();
  }

  const SelectRules& rules() const { return rules_; }
  TokenChoice choice(const Scored& c) const {
    return {c.score, logits_[static_cast<size_t>(c.token)] - summary_.logSumExp, c.row, c.token};
  }
  TokenChoice fallback() const { return choice({kMasked, 0, summary_.argmax}); }

  // Everything that is not masked, best first; `row` of the group.
  std::vector<Scored> ranked(int32_t row) const {
    std::vector<Scored> list;
    for (size_t i = 0; i < scores_.size(); ++i) {
      const float score = rules_.pick == Pick::Beams ? info_.base + scores_[i] : scores_[i];
      if (score > kMasked) list.push_back({score, row, static_cast<int32_t>(i)});
    }
    std::sort(list.begin(), list.end(), better);
    return list;
  }

  TokenChoice pickOne() const {
    std::vector<Scored> list = ranked(0);
    if (list.empty()) return fallback();
    const Scored best = list.front();
    if (rules_.pick == Pick::Best) return choice(best);
    const Outcome outcome = outcomeOf(rules_, best.score, hasNan());
    if (outcome != Outcome::Drawn) return outcome == Outcome::Best ? choice(best) : fallback();
    if (rules_.topK > 0 && static_cast<size_t>(rules_.topK) < list.size()) {
      const float limit = list[static_cast<size_t>(rules_.topK) - 1].score;
      std::erase_if(list, [&](const Scored& c) { return c.score < limit; });
    }
    if (rules_.topP < 1) keepTopP(list, best.score);
    const float limit = minPLimit(best.score, rules_.logMinP);
    std::erase_if(list, [&](const Scored& c) { return c.score < limit; });
    std::sort(list.begin(), list.end(), [](const Scored& a, const Scored& b) { return a.token < b.token; });
    const uint64_t target =
        drawTarget(Philox(info_.seed, info_.sequence).uniformBits(info_.step), massOf(list, best.score));
    uint64_t sum = 0;
    for (const Scored& c : list)
      if ((sum += weightBelow(c.score - best.score, scale_)) > target) return choice(c);
    return choice(best);
  }

 private:
  bool hasNan() const {
    return std::any_of(scores_.begin(), scores_.end(), [](float s) { return s != s; });
  }
  uint64_t massOf(const std::vector<Scored>& list, float max) const {
    uint64_t sum = 0;
    for (const Scored& c : list) sum += weightBelow(c.score - max, scale_);
    return sum;
  }
  void keepTopP(std::vector<Scored>& list, float max) const {
    const uint64_t target = topPTarget(rules_.topP, massOf(list, max));
    uint64_t before = 0;
    size_t kept = 0;
    while (kept < list.size() && before < target) before += weightBelow(list[kept++].score - max, scale_);
    list.resize(kept);
  }
  void renormalize() {
    float max = kMasked;
    for (const float s : scores_)
      if (s > max) max = s;
    uint64_t sum = 0;
    for (const float s : scores_)
      if (s > kMasked) sum += weightBelow(s - max, scale_);
    const bool usable = !hasNan() && max > kMasked && max < -kMasked;
    const float logSum = usable ? logSumOf(max, sum, scale_) : std::numeric_limits<float>::quiet_NaN();
    for (float& s : scores_) s -= logSum;
  }

  void bias(const WordList& groups) {
    for (int32_t g = 0; g < groups.count; ++g) {
      const int32_t* group = block_ + groups.first + g * kBiasGroupWords;
      if (legal(group[0])) at(group[0]) += biasOf(block_, group, history_);
    }
  }
  void mask(const WordList& ids) {
    for (int32_t i = 0; i < ids.count; ++i)
      if (legal(block_[ids.first + i])) at(block_[ids.first + i]) = kMasked;
  }
  void force(const int32_t* ids, int32_t count) {
    std::fill(scores_.begin(), scores_.end(), kMasked);
    for (int32_t i = 0; i < count; ++i)
      if (legal(ids[i])) at(ids[i]) = 0;
  }
  void penalise() {
    std::vector<int32_t> seen(history_.ids, history_.ids + history_.length);
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const int32_t id : seen)
      if (legal(id)) at(id) = penalised(at(id), rules_.repetitionPenalty);
  }
  void edit() {
    const int32_t length = info_.length;
    bias(rules_.sequenceBias);
    if (rules_.repetitionPenalty != 1.0f) penalise();
    for (int32_t start = 0; rules_.noRepeatNgram > 0 && start < length; ++start) {
      const int32_t id = repeatedAt(history_, start, rules_.noRepeatNgram);
      if (legal(id)) at(id) = kMasked;
    }
    bias(rules_.badWords);
    if (length < rules_.minLength) mask(rules_.eos);
    if (rules_.forcedBos >= 0 && length == 1) force(&rules_.forcedBos, 1);
    if (rules_.forcedEos.count > 0 && length + 1 == rules_.maxLength)
      force(block_ + rules_.forcedEos.first, rules_.forcedEos.count);
    if (rules_.removeInvalid)
      for (float& s : scores_) s = madeValid(s);
    for (int32_t i = 0; rules_.decay && length > rules_.decayStart && i < rules_.eos.count; ++i) {
      const int32_t id = block_[rules_.eos.first + i];
      if (legal(id)) at(id) = decayed(rules_, at(id), length);
    }
    mask(rules_.suppress);
    if (length == rules_.beginSuppressAt) mask(rules_.beginSuppress);
  }
  bool legal(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < scores_.size(); }
  float& at(int32_t id) { return scores_[static_cast<size_t>(id)]; }

  const SelectRow& info_;
  const int32_t* block_;
  SelectRules rules_;
  std::vector<float> logits_, scores_;
  RowSummary summary_;
  History history_;
  int scale_;
};

void selectBeams(const SelectArgs& a, const SelectGroup& group) {
  std::vector<Selection> rows;
  std::vector<Scored> all;
  for (int32_t r = 0; r < group.rows; ++r) {
    rows.emplace_back(a, group.firstRow + r);
    const std::vector<Scored> list = rows.back().ranked(r);
    all.insert(all.end(), list.begin(), list.end());
  }
  std::sort(all.begin(), all.end(), better);
  for (int32_t i = 0; i < group.keep; ++i) {
    const auto at = static_cast<size_t>(i);
    a.out[group.out + i] = at < all.size()         ? rows[static_cast<size_t>(all[at].row)].choice(all[at])
                           : i == 0 && all.empty() ? rows[0].fallback()
                                                   : TokenChoice{kMasked, 0, 0, -1};
  }
}

}  // namespace

void selectTokens(const SelectArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    if (a.rowInfo[r].rules < 0) continue;
    const Selection row(a, r);
    if (row.rules().pick != Pick::Beams) a.out[a.rowInfo[r].out] = row.pickOne();
  }
  for (int64_t g = 0; g < a.groupCount; ++g) selectBeams(a, a.groups[g]);
}

}  // namespace ved::ops::reference
