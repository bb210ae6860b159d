#include "decode/processors/mask_ids.h"

namespace ved::decode {

namespace {

class Suppress final : public RowProcessor {
 public:
  explicit Suppress(Ids ids) : ids_(std::move(ids)) {}

 private:
  void applyRow(const Row& row) override { maskIds(row, ids_); }
  Ids ids_;
};

}  // namespace

ProcessorPtr makeSuppress(const Options& options) {
  if (options.suppressTokens.empty()) return nullptr;
  return std::make_unique<Suppress>(options.suppressTokens);
}

}  // namespace ved::decode
