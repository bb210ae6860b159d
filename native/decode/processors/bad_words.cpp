#include <algorithm>

#include "decode/numeric.h"
#include "decode/processors/bias_table.h"

namespace ved::decode {

namespace {

class BadWords final : public RowProcessor {
 public:
  explicit BadWords(BiasTable table) : table_(std::move(table)) {}

 private:
  void applyRow(const Row& row) override { table_.apply(row); }
  BiasTable table_;
};

}  // namespace

// A word that is just an end token is left out: banning it would never let a sequence end.
BiasTable badWordsTable(const Options& options) {
  BiasTable table;
  for (const Ids& word : options.badWordsIds) {
    const auto isWord = [&](int32_t eos) { return word.size() == 1 && word[0] == eos; };
    if (!std::any_of(options.eosTokenIds.begin(), options.eosTokenIds.end(), isWord)) table.add(word, kMasked);
  }
  return table;
}

ProcessorPtr makeBadWords(const Options& options) {
  BiasTable table = badWordsTable(options);
  if (table.empty()) return nullptr;
  return std::make_unique<BadWords>(std::move(table));
}

}  // namespace ved::decode
