#include "decode/processors/mask_ids.h"

namespace ved::decode {

namespace {

// Only directly after a one-token prompt.
class ForcedBos final : public RowProcessor {
 public:
  explicit ForcedBos(int32_t id) : ids_{id} {}

 private:
  void applyRow(const Row& row) override {
    if (row.ids.size() == 1) forceIds(row, ids_);
  }

  Ids ids_;
};

}  // namespace

ProcessorPtr makeForcedBos(const Options& options) {
  if (options.forcedBosTokenId < 0) return nullptr;
  return std::make_unique<ForcedBos>(options.forcedBosTokenId);
}

}  // namespace ved::decode
