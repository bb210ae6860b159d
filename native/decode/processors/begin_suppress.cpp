#include "decode/processors/mask_ids.h"

namespace ved::decode {

namespace {

class BeginSuppress final : public RowProcessor {
 public:
  BeginSuppress(int32_t begin, Ids ids) : begin_(begin), ids_(std::move(ids)) {}

 private:
  void applyRow(const Row& row) override {
    if (static_cast<int64_t>(row.ids.size()) == begin_) maskIds(row, ids_);
  }

  int64_t begin_;
  Ids ids_;
};

}  // namespace

// The first free position: behind a forced first token there is one more.
ProcessorPtr makeBeginSuppress(const Options& options) {
  if (options.beginSuppressTokens.empty()) return nullptr;
  const bool forced = options.promptLength == 1 && options.forcedBosTokenId >= 0;
  return std::make_unique<BeginSuppress>(options.promptLength + (forced ? 1 : 0), options.beginSuppressTokens);
}

}  // namespace ved::decode
