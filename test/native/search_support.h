// Random searches and logits, for what chooses tokens.
#pragma once
#include <algorithm>
#include <limits>

#include "decode/search.h"
#include "op_support.h"

namespace ved::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

inline std::vector<std::unique_ptr<ops::Backend>> selectingBackends(int64_t vocab) {
  std::vector<std::unique_ptr<ops::Backend>> all;
  for (const Target& target : targets())
    if (auto backend = target.make(1); backend->selects(vocab)) all.push_back(std::move(backend));
  return all;
}

enum class Kind { Spread, Ties, Masked, AllMasked, Nan, AllNan, Infinite, Close };
inline constexpr Kind kKinds[] = {Kind::Spread, Kind::Ties,   Kind::Masked,   Kind::AllMasked,
                                  Kind::Nan,    Kind::AllNan, Kind::Infinite, Kind::Close};

inline std::vector<float> makeLogits(Random& random, int64_t vocab, Kind kind) {
  std::vector<float> x(static_cast<size_t>(vocab));
  const auto somewhere = [&]() -> float& { return x[static_cast<size_t>(random.below(vocab))]; };
  random.fill(x.data(), x.size(), kind == Kind::Close ? 1e-6f : 6.0f);
  if (kind == Kind::Ties)
    for (float& v : x) v = static_cast<float>(random.below(5)) - 2.0f;
  if (kind == Kind::Masked)
    for (float& v : x)
      if (random.below(3)) v = -kInf;
  if (kind == Kind::AllMasked) std::fill(x.begin(), x.end(), -kInf);
  if (kind == Kind::AllNan) std::fill(x.begin(), x.end(), kNan);
  if (kind == Kind::Nan) somewhere() = kNan, somewhere() = kNan;
  if (kind == Kind::Infinite) somewhere() = kInf, somewhere() = kInf, somewhere() = -kInf;
  return x;
}

inline std::vector<int32_t> someIds(Random& random, int64_t vocab, int64_t atMost) {
  std::vector<int32_t> ids;
  for (int64_t n = random.below(atMost + 1); n > 0; --n) ids.push_back(static_cast<int32_t>(random.below(vocab)));
  return ids;
}

// A mixture of everything that makeRules() takes.
inline decode::Options makeOptions(Random& random, int64_t vocab) {
  decode::Options o;
  const auto often = [&](int64_t n) { return random.below(n) == 0; };
  o.maxLength = 8 + static_cast<int32_t>(random.below(6));
  if (often(2)) o.numBeams = 2 + static_cast<int32_t>(random.below(4));
  o.doSample = o.numBeams == 1 && !often(3);
  o.numReturnSequences = 1 + static_cast<int32_t>(random.below(o.numBeams));
  o.earlyStopping = static_cast<decode::EarlyStopping>(random.below(3));
  o.lengthPenalty = random.uniform(-0.5f, 1.5f);
  o.eosTokenIds = someIds(random, vocab, 2);
  std::sort(o.eosTokenIds.begin(), o.eosTokenIds.end());
  o.eosTokenIds.erase(std::unique(o.eosTokenIds.begin(), o.eosTokenIds.end()), o.eosTokenIds.end());
  o.seed = random.next();
  o.sequenceIndex = random.next();
  if (often(2)) o.temperature = random.uniform(0.3f, 2.0f);
  if (often(2)) o.topK = 1 + static_cast<int32_t>(random.below(vocab + 3));
  if (often(2)) o.topP = random.uniform(0.0f, 1.0f);
  if (often(3)) o.hasMinP = true, o.minP = random.uniform(0.0f, 1.0f);
  if (often(3)) o.repetitionPenalty = random.uniform(0.5f, 1.8f);
  if (often(4)) o.noRepeatNgramSize = 1 + static_cast<int32_t>(random.below(3));
  if (often(4)) o.minLength = static_cast<int32_t>(random.below(8));
  if (often(4)) o.minNewTokens = static_cast<int32_t>(random.below(5));
  if (often(6)) o.forcedBosTokenId = static_cast<int32_t>(random.below(vocab));
  if (often(5)) o.forcedEosTokenIds = someIds(random, vocab, 2);
  if (often(4)) o.removeInvalidValues = true;
  if (often(5))
    o.hasExponentialDecay = true, o.decayStart = static_cast<int32_t>(random.below(4)), o.decayFactor = 1.1f;
  if (often(4)) o.suppressTokens = someIds(random, vocab, 4);
  if (often(4)) o.beginSuppressTokens = someIds(random, vocab, 4);
  if (often(4)) o.renormalizeLogits = true;
  for (int64_t n = often(3) ? random.below(6) : 0; n > 0; --n)
    o.sequenceBias.push_back({someIds(random, vocab, 3), random.uniform(-3.0f, 3.0f)});
  for (int64_t n = often(3) ? random.below(6) : 0; n > 0; --n) o.badWordsIds.push_back(someIds(random, vocab, 2));
  return o;
}

}  // namespace ved::test
