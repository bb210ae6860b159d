#include "decode/stopping.h"

#include <algorithm>

namespace ved::decode {

Stopping::Stopping(const Options& options) : options_(options) {
  for (const std::string& stop : options.stopStrings) longestStop_ = std::max(longestStop_, stop.size());
}

void Stopping::beginStep() {
  if (!(options_.maxTimeSeconds > 0)) return;
  const auto now = std::chrono::steady_clock::now();
  if (!started_) start_ = now;
  started_ = true;
  outOfTime_ = std::chrono::duration<double>(now - start_).count() > options_.maxTimeSeconds;
}

FinishReason Stopping::check(const std::vector<int32_t>& ids, std::span<const float> scores, int32_t beam) {
  const bool criterion =
      options_.userCriterion && options_.userCriterion(ids, scores.data(), static_cast<int32_t>(scores.size()), beam);
  if (isEos(ids.back())) return FinishReason::Eos;
  if (endsInStopString(ids)) return FinishReason::StopString;
  if (criterion) return FinishReason::Criterion;
  if (static_cast<int64_t>(ids.size()) >= options_.maxLength) return FinishReason::Length;
  return outOfTime_ ? FinishReason::Time : FinishReason::None;
}

bool Stopping::isEos(int32_t id) const {
  return std::find(options_.eosTokenIds.begin(), options_.eosTokenIds.end(), id) != options_.eosTokenIds.end();
}

std::string_view Stopping::textOf(int32_t id) const {
  const auto& texts = *options_.tokenText;
  return id >= 0 && static_cast<size_t>(id) < texts.size() ? std::string_view(texts[id]) : std::string_view();
}

// True when an occurrence of a stop string ends inside the text of the last token; it may begin many tokens earlier.
bool Stopping::endsInStopString(const std::vector<int32_t>& ids) {
  if (longestStop_ == 0 || !options_.tokenText) return false;
  size_t first = ids.size() - 1, before = 0;
  while (first > 0 && before + 1 < longestStop_ && ids.size() - first < longestStop_)
    before += textOf(ids[--first]).size();
  text_.clear();
  for (size_t i = first; i < ids.size(); ++i) text_ += textOf(ids[i]);
  for (const std::string& stop : options_.stopStrings) {
    if (stop.empty()) continue;
    // The first place from which an occurrence ends behind `before`.
    const size_t from = before + 1 > stop.size() ? before + 1 - stop.size() : 0;
    if (text_.find(stop, from) != std::string::npos) return true;
  }
  return false;
}

}  // namespace ved::decode
