// A logits processor changes one step's scores in place before a token is chosen. Greedy search and sampling pass raw
// logits, beam search passes log-probabilities; the rules are the same.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decode/search.h"

namespace ved::decode {

using Ids = std::vector<int32_t>;

struct Row {
  const Ids& ids;           // prompt and tokens so far
  std::span<float> scores;  // [vocab]
  int32_t beam;
};

// The live rows of one image.
struct Rows {
  float* scores;  // [count, vocab], contiguous
  int32_t vocab;
  std::span<const Ids* const> ids;

  int32_t count() const { return static_cast<int32_t>(ids.size()); }
  Row at(int32_t i) const {
    return {*ids[i], {scores + static_cast<size_t>(i) * vocab, static_cast<size_t>(vocab)}, i};
  }
};

class Processor {
 public:
  virtual ~Processor() = default;
  virtual void apply(const Rows& rows) = 0;
};

// Most processors look at one row at a time.
class RowProcessor : public Processor {
 public:
  void apply(const Rows& rows) final {
    for (int32_t i = 0; i < rows.count(); ++i) applyRow(rows.at(i));
  }

 protected:
  virtual void applyRow(const Row& row) = 0;
};

using ProcessorPtr = std::unique_ptr<Processor>;

// One factory per file of this folder; a null pointer means that the options leave the processor out.
ProcessorPtr makeSequenceBias(const Options&);
ProcessorPtr makeRepetitionPenalty(const Options&);
ProcessorPtr makeNoRepeatNgram(const Options&);
ProcessorPtr makeBadWords(const Options&);
ProcessorPtr makeMinLength(const Options&);
ProcessorPtr makeMinNewTokens(const Options&);
ProcessorPtr makePrefixAllowed(const Options&);
ProcessorPtr makeForcedBos(const Options&);
ProcessorPtr makeForcedEos(const Options&);
ProcessorPtr makeRemoveInvalid(const Options&);
ProcessorPtr makeExponentialDecay(const Options&);
ProcessorPtr makeSuppress(const Options&);
ProcessorPtr makeBeginSuppress(const Options&);
ProcessorPtr makeUserProcessor(const Options&);
ProcessorPtr makeTemperature(const Options&);
ProcessorPtr makeTopH(const Options&);
ProcessorPtr makeTopK(const Options&);
ProcessorPtr makeTopP(const Options&);
ProcessorPtr makeMinP(const Options&);
ProcessorPtr makeTypical(const Options&);
ProcessorPtr makeEpsilon(const Options&);
ProcessorPtr makeEta(const Options&);
ProcessorPtr makeRenormalize(const Options&);

// All processors of the options, in the order in which they run.
std::vector<ProcessorPtr> makeProcessors(const Options&);

// How many tokens a sampling warper always leaves.
int32_t minTokensToKeep(const Options&);

}  // namespace ved::decode
