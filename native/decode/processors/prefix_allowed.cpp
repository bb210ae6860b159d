#include <string>

#include "core/error.h"
#include "decode/numeric.h"
#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

class PrefixAllowed final : public Processor {
 public:
  explicit PrefixAllowed(decltype(Options::prefixAllowed) function) : function_(std::move(function)) {}

  // When the rule leaves no row of the image anything to say, earlier masks are dropped and the rule alone counts.
  void apply(const Rows& rows) override {
    bool possible = false;
    allowed_.resize(rows.ids.size());
    for (int32_t i = 0; i < rows.count(); ++i) {
      const Row row = rows.at(i);
      allowed_[i] = ask(row);
      for (int32_t id : allowed_[i]) possible |= row.scores[id] != kMasked;
    }
    for (int32_t i = 0; i < rows.count(); ++i) keepOnly(rows.at(i), allowed_[i], !possible);
  }

 private:
  Ids ask(const Row& row) const {
    Ids allowed = function_(row.beam, row.ids);
    if (allowed.empty())
      throw Error(ErrorKind::Option, "PREFIX_ALLOWED_EMPTY",
                  "prefixAllowedTokensFn: expected at least one token id, got an empty list for row " +
                      std::to_string(row.beam));
    for (int32_t id : allowed)
      if (id < 0 || static_cast<size_t>(id) >= row.scores.size())
        throw Error(ErrorKind::Option, "OPTION_OUT_OF_RANGE",
                    "prefixAllowedTokensFn: expected ids below " + std::to_string(row.scores.size()) + ", got " +
                        std::to_string(id));
    return allowed;
  }

  void keepOnly(const Row& row, const Ids& allowed, bool reset) {
    kept_.clear();
    for (int32_t id : allowed) kept_.push_back(reset ? 0.f : row.scores[id]);
    maskAll(row.scores);
    for (size_t i = 0; i < allowed.size(); ++i) row.scores[allowed[i]] = kept_[i];
  }

  decltype(Options::prefixAllowed) function_;
  std::vector<Ids> allowed_;
  std::vector<float> kept_;
};

}  // namespace

ProcessorPtr makePrefixAllowed(const Options& options) {
  if (!options.prefixAllowed) return nullptr;
  return std::make_unique<PrefixAllowed>(options.prefixAllowed);
}

}  // namespace ved::decode
