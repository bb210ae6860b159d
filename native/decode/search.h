// Turning logits into tokens: one Search per image (item). Greedy, sampling and beam search share this interface, so
// the engine knows nothing of strategies. Semantics: transformers 5.18 generation/utils.py (_sample, _beam_search).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/backend.h"

namespace ved::decode {

enum class FinishReason : uint8_t { None, Eos, Length, StopString, Time, Criterion };
enum class EarlyStopping : uint8_t { False, True, Never };

struct SequenceBias {
  std::vector<int32_t> ids;
  float bias;
};

// Fully resolved options: TypeScript merged and validated them; ids are inside the vocabulary.
struct Options {
  int32_t promptLength = 1;  // P
  int32_t maxLength = 0;     // total ids, prompt included; > promptLength
  int32_t minLength = 0;     // total ids before eos is allowed
  int32_t minNewTokens = 0;
  int32_t numBeams = 1;
  int32_t numReturnSequences = 1;  // of one search: beams return several; sampling makes one search per sequence
  bool doSample = false;
  EarlyStopping earlyStopping = EarlyStopping::False;
  float lengthPenalty = 1.f;
  float temperature = 1.f;
  int32_t topK = 0;                                                                                // 0 = off
  float topP = 1.f, minP = 0.f, topH = 0.f, typicalP = 1.f, epsilonCutoff = 0.f, etaCutoff = 0.f;  // neutral = off
  bool hasMinP = false, hasTopH = false;
  float repetitionPenalty = 1.f;
  int32_t noRepeatNgramSize = 0;
  std::vector<std::vector<int32_t>> badWordsIds;
  std::vector<SequenceBias> sequenceBias;
  bool renormalizeLogits = false, removeInvalidValues = false;
  int32_t forcedBosTokenId = -1;  // -1 = none
  std::vector<int32_t> forcedEosTokenIds;
  bool hasExponentialDecay = false;
  int32_t decayStart = 0;
  float decayFactor = 1.f;
  std::vector<int32_t> suppressTokens, beginSuppressTokens;
  std::vector<int32_t> eosTokenIds;
  int32_t padTokenId = -1;               // -1 = none
  std::vector<std::string> stopStrings;  // bytes or UTF-8 text, as tokenText below
  // text of every token id for stop strings; shared by all searches of a call; empty without stop strings
  std::shared_ptr<const std::vector<std::string>> tokenText;
  double maxTimeSeconds = 0;  // 0 = none
  uint64_t seed = 0;          // draws depend on (seed, sequenceIndex, step) only
  uint64_t sequenceIndex = 0;
  bool outputScores = false;
  // User code (slow path). ids: the row's ids so far; scores: [vocab], in place. row: global row index of the call.
  std::function<void(const std::vector<int32_t>& ids, float* scores, int32_t vocab, int32_t beam)> userProcessor;
  std::function<std::vector<int32_t>(int32_t beam, const std::vector<int32_t>& ids)> prefixAllowed;
  std::function<bool(const std::vector<int32_t>& ids, const float* scores, int32_t vocab, int32_t beam)> userCriterion;
};

struct Sequence {
  std::vector<int32_t> ids;          // prompt and generated tokens, eos included, no padding
  std::vector<float> tokenLogProbs;  // log-softmax of the raw logits, one per generated token
  float score = 0;                   // beam search: sum of processed log-probs / length^lengthPenalty
  std::vector<int32_t> beamIndices;  // beam search: source beam (0..numBeams-1) of each generated token
  FinishReason finish = FinishReason::None;
};

// What the engine does with the search's rows before the next step. Live row i continues parent row parents[i]
// (an index into the rows of the step just taken) with token tokens[i].
struct Step {
  std::vector<int32_t> parents;
  std::vector<int32_t> tokens;
  std::vector<float> logProbs;  // raw log-probability of tokens[i]
  bool done = false;  // then parents and tokens may be empty; a streamed greedy row's last token still is in `emitted`
  // the token that a single-row search (greedy, sampling) produced in this step, also when it ended it
  int32_t emitted = -1;
  float emittedLogProb = 0;
  FinishReason emittedFinish = FinishReason::None;
};

struct LiveRow {
  const std::vector<int32_t>& ids;  // so far
  float score;                      // beam search: of the row so far
  uint32_t step;                    // generated tokens
  uint64_t seed, sequence;          // of its draws
};

class Search {
 public:
  virtual ~Search() = default;
  // rows alive before the next step: 1 after construction (all beams share the prompt), then Step::tokens.size()
  virtual int32_t liveRows() const = 0;
  virtual int32_t maxRows() const = 0;  // numBeams
  // For a backend that chooses tokens itself: the rules it needs (see rules.h), empty where the host must see the
  // logits; and what it has to know of each live row.
  virtual const std::vector<int32_t>& rules() = 0;
  virtual LiveRow liveRow(int32_t i) const = 0;
  // logits: [liveRows(), vocab] with row stride ld, overwritten freely; summary: of the raw logits of each row.
  virtual Step advance(float* logits, int64_t ld, int32_t vocab, const ops::RowSummary* summary) = 0;
  // The same step out of what the backend chose by rules(): one choice, or K candidates of a beam search in order.
  virtual Step advance(std::span<const ops::TokenChoice> choices) = 0;
  // best first; numReturnSequences of them; valid once done
  virtual std::vector<Sequence> take() = 0;
  // processed scores of every step, [steps][numBeams rows as HF lays them out, vocab], only with outputScores
  virtual std::vector<std::vector<float>> takeScores() = 0;
};

// prompt: ids of this item's decoder prompt, start token included.
std::unique_ptr<Search> makeSearch(const Options& options, std::vector<int32_t> prompt);

}  // namespace ved::decode
