#include "decode/rules.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/processors/bias_table.h"

namespace ved::decode {

namespace {

constexpr size_t kBlockWords = 4;  // blocks are multiples of so many words

bool inside(float value) { return value > 0.f && value < 1.f; }

bool needsHost(const Options& o) {
  if (o.userProcessor || o.prefixAllowed || o.userCriterion || o.outputScores) return true;
  if (!o.doSample) return rankedCandidates(o) > ops::kMaxKeep;
  return o.numBeams > 1 || o.hasTopH || o.typicalP < 1.f || inside(o.epsilonCutoff) || inside(o.etaCutoff);
}

ops::WordList append(std::vector<int32_t>& words, const std::vector<int32_t>& ids) {
  const ops::WordList list{static_cast<int32_t>(words.size()), static_cast<int32_t>(ids.size())};
  words.insert(words.end(), ids.begin(), ids.end());
  return list;
}

// The shortest row that may end.
int32_t leastLength(const Options& o) {
  if (o.eosTokenIds.empty()) return 0;
  const int64_t counted = o.minNewTokens > 0 ? int64_t{o.promptLength} + o.minNewTokens : 0;
  return static_cast<int32_t>(std::min<int64_t>(std::max<int64_t>(o.minLength, counted), INT32_MAX));
}

void setLengths(const Options& o, ops::SelectRules& r) {
  r.minLength = leastLength(o);
  r.maxLength = o.maxLength;
  r.forcedBos = o.forcedBosTokenId;
  const bool forced = o.promptLength == 1 && o.forcedBosTokenId >= 0;
  if (!o.beginSuppressTokens.empty()) r.beginSuppressAt = o.promptLength + (forced ? 1 : 0);
  if (o.hasExponentialDecay && !o.eosTokenIds.empty()) {
    r.decay = 1;
    r.decayStart = o.decayStart + o.promptLength;
    r.decayFactor = o.decayFactor;
  }
}

void setWarpers(const Options& o, ops::SelectRules& r) {
  r.temperature = o.temperature;
  r.topK = std::max(o.topK, 0);
  r.topP = o.topP;
  if (o.hasMinP) r.logMinP = std::log(static_cast<double>(o.minP));
}

}  // namespace

int32_t rankedCandidates(const Options& options) {
  return static_cast<int32_t>(std::max<size_t>(2, 1 + options.eosTokenIds.size())) * options.numBeams;
}

std::vector<int32_t> makeRules(const Options& options) {
  if (needsHost(options)) return {};
  ops::SelectRules r;
  r.pick = options.numBeams > 1 ? ops::Pick::Beams : options.doSample ? ops::Pick::Draw : ops::Pick::Best;
  r.keep = options.numBeams > 1 ? rankedCandidates(options) : 1;
  r.repetitionPenalty = options.repetitionPenalty;
  r.noRepeatNgram = std::max(options.noRepeatNgramSize, 0);
  r.removeInvalid = options.removeInvalidValues ? 1 : 0;
  r.renormalize = options.renormalizeLogits ? 1 : 0;
  setLengths(options, r);
  if (options.doSample) setWarpers(options, r);
  std::vector<int32_t> words(sizeof r / sizeof(int32_t));
  r.eos = append(words, options.eosTokenIds);
  r.forcedEos = append(words, options.forcedEosTokenIds);
  r.suppress = append(words, options.suppressTokens);
  r.beginSuppress = append(words, options.beginSuppressTokens);
  r.sequenceBias = sequenceBiasTable(options).appendTo(words);
  r.badWords = badWordsTable(options).appendTo(words);
  words.resize((words.size() + kBlockWords - 1) / kBlockWords * kBlockWords);
  r.words = static_cast<int32_t>(words.size());
  std::memcpy(words.data(), &r, sizeof r);
  return words;
}

}  // namespace ved::decode
