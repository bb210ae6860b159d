// When a row is finished: end token, stop string, user criterion, length, time.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decode/search.h"

namespace ved::decode {

class Stopping {
 public:
  explicit Stopping(const Options& options);

  // Once per step, before check(): the clock starts at the first call.
  void beginStep();
  // ids: the row with its new token, which came from `beam` with these scores. Every criterion is asked, also when an
  // earlier one holds; the reason is the first that holds of eos, stop string, criterion, length, time.
  FinishReason check(const std::vector<int32_t>& ids, std::span<const float> scores, int32_t beam);

 private:
  bool isEos(int32_t id) const;
  bool endsInStopString(const std::vector<int32_t>& ids);
  std::string_view textOf(int32_t id) const;

  const Options& options_;
  size_t longestStop_ = 0;
  bool started_ = false, outOfTime_ = false;
  std::chrono::steady_clock::time_point start_;
  std::string text_;  // scratch: tail of the row before its last token, then that token
};

}  // namespace ved::decode
