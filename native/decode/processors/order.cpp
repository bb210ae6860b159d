#include "decode/processors/processor.h"

namespace ved::decode {

namespace {

using Factory = ProcessorPtr (*)(const Options&);

constexpr Factory kProcessors[] = {
    makeSequenceBias,     makeRepetitionPenalty, makeNoRepeatNgram, makeBadWords,      makeMinLength,
    makeMinNewTokens,     makePrefixAllowed,     makeForcedBos,     makeForcedEos,     makeRemoveInvalid,
    makeExponentialDecay, makeSuppress,          makeBeginSuppress, makeUserProcessor,
};

constexpr Factory kWarpers[] = {
    makeTemperature, makeTopH, makeTopK, makeTopP, makeMinP, makeTypical, makeEpsilon, makeEta,
};

void append(std::vector<ProcessorPtr>& list, ProcessorPtr processor) {
  if (processor) list.push_back(std::move(processor));
}

}  // namespace

int32_t minTokensToKeep(const Options& options) {
  if (options.numBeams <= 1) return 1;
  return options.eosTokenIds.empty() ? 2 : static_cast<int32_t>(options.eosTokenIds.size()) + 1;
}

std::vector<ProcessorPtr> makeProcessors(const Options& options) {
  std::vector<ProcessorPtr> list;
  for (Factory make : kProcessors) append(list, make(options));
  if (options.doSample)
    for (Factory make : kWarpers) append(list, make(options));
  append(list, makeRenormalize(options));
  return list;
}

}  // namespace ved::decode
