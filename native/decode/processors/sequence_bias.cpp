#include "decode/processors/bias_table.h"

namespace ved::decode {

namespace {

class SequenceBiasProcessor final : public RowProcessor {
 public:
  explicit SequenceBiasProcessor(const std::vector<SequenceBias>& biases) {
    for (const SequenceBias& entry : biases) table_.add(entry.ids, entry.bias);
  }

 private:
  void applyRow(const Row& row) override { table_.apply(row); }
  BiasTable table_;
};

}  // namespace

ProcessorPtr makeSequenceBias(const Options& options) {
  if (options.sequenceBias.empty()) return nullptr;
  return std::make_unique<SequenceBiasProcessor>(options.sequenceBias);
}

}  // namespace ved::decode
