#include "decode/processors/mask_ids.h"

namespace ved::decode {

namespace {

class MinLength final : public RowProcessor {
 public:
  MinLength(int64_t length, Ids eos) : length_(length), eos_(std::move(eos)) {}

 private:
  void applyRow(const Row& row) override {
    if (static_cast<int64_t>(row.ids.size()) < length_) maskIds(row, eos_);
  }

  int64_t length_;
  Ids eos_;
};

}  // namespace

ProcessorPtr makeMinLength(const Options& options) {
  if (options.minLength <= 0 || options.eosTokenIds.empty()) return nullptr;
  return std::make_unique<MinLength>(options.minLength, options.eosTokenIds);
}

// The same rule, counted from the end of the prompt.
ProcessorPtr makeMinNewTokens(const Options& options) {
  if (options.minNewTokens <= 0 || options.eosTokenIds.empty()) return nullptr;
  const int64_t length = static_cast<int64_t>(options.promptLength) + options.minNewTokens;
  return std::make_unique<MinLength>(length, options.eosTokenIds);
}

}  // namespace ved::decode
