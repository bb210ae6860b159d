#include "engine/selection.h"

#include <algorithm>
#include <atomic>

namespace ved::engine {
namespace {

constexpr size_t kMaxWords = 1 << 20;  // of blocks that are kept; more only where one step needs them

std::atomic<uint64_t> lastSerial{0};  // of all selections: a backend may serve several

}  // namespace

void Selection::clear() {
  rows_.clear();
  groups_.clear();
  ranges_.clear();
  histories_.clear();
  outCount_ = 0;
  if (words_.size() <= kMaxWords) return;
  words_.clear();
  blocks_.clear();
}

// Where an equal block begins.
int32_t Selection::blockOf(const std::vector<int32_t>& rules) {
  for (const int32_t begin : blocks_) {
    const auto at = words_.begin() + begin;
    if (words_.size() - static_cast<size_t>(begin) >= rules.size() && std::equal(rules.begin(), rules.end(), at))
      return begin;
  }
  const auto begin = static_cast<int32_t>(words_.size());
  words_.insert(words_.end(), rules.begin(), rules.end());
  blocks_.push_back(begin);
  serial_ = ++lastSerial;
  return begin;
}

void Selection::addRow(const decode::LiveRow& live, const ops::SelectRules& rules, int32_t block) {
  ops::SelectRow row;
  row.rules = block;
  row.length = static_cast<int32_t>(live.ids.size());
  row.step = live.step;
  row.base = live.score;
  row.out = static_cast<int32_t>(outCount_);
  row.seed = live.seed;
  row.sequence = live.sequence;
  if (ops::readsIds(rules)) {
    row.line = static_cast<int32_t>(histories_.size());
    histories_.push_back(&live.ids);
  }
  rows_.push_back(row);
}

bool Selection::add(decode::Search& search) {
  const std::vector<int32_t>& words = search.rules();
  const int32_t live = search.liveRows();
  if (words.empty()) {
    rows_.resize(rows_.size() + static_cast<size_t>(live));
    ranges_.push_back({0, 0});
    return false;
  }
  const ops::SelectRules rules = ops::rulesAt(words.data());
  const int32_t block = blockOf(words);
  const int64_t first = outCount_;
  if (rules.pick == ops::Pick::Beams)
    groups_.push_back({static_cast<int32_t>(rows_.size()), live, rules.keep, static_cast<int32_t>(first)});
  for (int32_t i = 0; i < live; ++i) addRow(search.liveRow(i), rules, block);
  outCount_ += rules.keep;
  ranges_.push_back({first, rules.keep});
  return true;
}

void Selection::run(ops::Backend& backend, const float* logits, int64_t vocab) {
  size_t capacity = 0;
  for (const std::vector<int32_t>* ids : histories_) capacity = std::max(capacity, ids->size());
  ids_.assign(capacity * histories_.size(), 0);
  for (size_t line = 0; line < histories_.size(); ++line)
    std::copy(histories_[line]->begin(), histories_[line]->end(), ids_.begin() + static_cast<int64_t>(line * capacity));
  choices_.resize(static_cast<size_t>(outCount_));
  ops::SelectArgs args{};
  args.logits = logits;
  args.ld = args.vocab = vocab;
  args.rows = static_cast<int64_t>(rows_.size());
  args.rowInfo = rows_.data();
  args.groups = groups_.data();
  args.groupCount = static_cast<int64_t>(groups_.size());
  args.rules = words_.data();
  args.ruleWords = static_cast<int64_t>(words_.size());
  args.rulesSerial = serial_;
  args.ids = ids_.data();
  args.lines = static_cast<int64_t>(histories_.size());
  args.capacity = static_cast<int64_t>(capacity);
  args.out = choices_.data();
  args.outCount = outCount_;
  backend.selectTokens(args);
}

std::span<const ops::TokenChoice> Selection::choices(size_t i) const {
  return {choices_.data() + ranges_[i].first, static_cast<size_t>(ranges_[i].count)};
}

}  // namespace ved::engine
