#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class Temperature final : public RowProcessor {
 public:
  explicit Temperature(float temperature) : temperature_(temperature) {}

 private:
  void applyRow(const Row& row) override {
    for (float& score : row.scores) score /= temperature_;
  }

  float temperature_;
};

}  // namespace

ProcessorPtr makeTemperature(const Options& options) {
  if (options.temperature == 1.f) return nullptr;
  return std::make_unique<Temperature>(options.temperature);
}

}  // namespace ved::decode
