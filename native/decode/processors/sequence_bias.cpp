#include "decode/processors/bias_table.h"

namespace ved::decode {

namespace {

class SequenceBiasProcessor final : public RowProcessor {
 public:
  explicit SequenceBiasProcessor(BiasTable table) : table_(std::move(table)) {}

 private:
  void applyRow(const Row& row) override { table_.apply(row); }
  BiasTable table_;
};

}  // namespace

BiasTable sequenceBiasTable(const Options& options) {
  BiasTable table;
  for (const SequenceBias& entry : options.sequenceBias) table.add(entry.ids, entry.bias);
  return table;
}

ProcessorPtr makeSequenceBias(const Options& options) {
  if (options.sequenceBias.empty()) return nullptr;
  return std::make_unique<SequenceBiasProcessor>(sequenceBiasTable(options));
}

}  // namespace ved::decode
