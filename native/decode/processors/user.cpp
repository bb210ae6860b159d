#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class UserProcessor final : public RowProcessor {
 public:
  explicit UserProcessor(decltype(Options::userProcessor) function) : function_(std::move(function)) {}

 private:
  void applyRow(const Row& row) override {
    function_(row.ids, row.scores.data(), static_cast<int32_t>(row.scores.size()), row.beam);
  }

  decltype(Options::userProcessor) function_;
};

}  // namespace

ProcessorPtr makeUserProcessor(const Options& options) {
  if (!options.userProcessor) return nullptr;
  return std::make_unique<UserProcessor>(options.userProcessor);
}

}  // namespace ved::decode
