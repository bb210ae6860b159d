#include <algorithm>

#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class NoRepeatNgram final : public RowProcessor {
 public:
  explicit NoRepeatNgram(int32_t size) : prefix_(size - 1) {}

 private:
  void applyRow(const Row& row) override {
    const int64_t length = static_cast<int64_t>(row.ids.size());
    const auto suffix = row.ids.end() - std::min(prefix_, length);
    for (int64_t start = 0; start + prefix_ < length; ++start) {
      const int32_t next = row.ids[start + prefix_];
      if (next < 0 || static_cast<size_t>(next) >= row.scores.size()) continue;
      if (std::equal(suffix, row.ids.end(), row.ids.begin() + start)) row.scores[next] = kMasked;
    }
  }

  int64_t prefix_;
};

}  // namespace

ProcessorPtr makeNoRepeatNgram(const Options& options) {
  if (options.noRepeatNgramSize <= 0) return nullptr;
  return std::make_unique<NoRepeatNgram>(options.noRepeatNgramSize);
}

}  // namespace ved::decode
