#include "decode/processors/mask_ids.h"

namespace ved::decode {

namespace {

// The last token that maxLength allows.
class ForcedEos final : public RowProcessor {
 public:
  ForcedEos(int32_t maxLength, Ids ids) : maxLength_(maxLength), ids_(std::move(ids)) {}

 private:
  void applyRow(const Row& row) override {
    if (static_cast<int64_t>(row.ids.size()) + 1 == maxLength_) forceIds(row, ids_);
  }

  int64_t maxLength_;
  Ids ids_;
};

}  // namespace

ProcessorPtr makeForcedEos(const Options& options) {
  if (options.forcedEosTokenIds.empty()) return nullptr;
  return std::make_unique<ForcedEos>(options.maxLength, options.forcedEosTokenIds);
}

}  // namespace ved::decode
