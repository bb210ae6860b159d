// Tokens out of logits where they lie: for every row the processed scores' best token or a draw from them, for the live
// rows of one beam search the best K continuations. The rules of transformers' logits processors, in its order, as a
// block of plain words.
//
// Score of token i in a row (L = log-sum-exp of the raw logits; greedy search and sampling leave it out):
//   s_i = base + edit(x_i - L)
// Weights of a draw are integers, so that sums have the same bits in any order, on any number of threads and in any
// batch:
//   w_i = floor(2^scaleBits * exp(s_i - max s)),   scaleBits = 62 - bits(vocab)
// A draw is the first id whose inclusive sum exceeds floor(u * sum w), u of Philox(seed, sequence) at the row's step.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/host_device.h"
#include "core/philox.h"

namespace ved::ops {

enum class Pick : int32_t { Best, Draw, Beams };

// A list inside a block of rules: `first` counts words from the block's begin.
struct WordList {
  int32_t first = 0, count = 0;
};

// The head of a block; the words of its lists follow. Blocks begin at multiples of four words. Lengths count the ids of
// a row, prompt included. A neutral value leaves a rule out.
struct SelectRules {
  Pick pick = Pick::Best;
  int32_t keep = 1;              // Beams: candidates of all rows together
  int32_t minLength = 0;         // shorter rows may not end
  int32_t maxLength = 0;         // where the forced end tokens come last
  int32_t noRepeatNgram = 0;     // size of the n-grams that must not occur twice
  int32_t forcedBos = -1;        // of rows of one id
  int32_t beginSuppressAt = -1;  // length at which `beginSuppress` holds
  int32_t decay = 0, decayStart = 0;
  int32_t removeInvalid = 0, renormalize = 0;
  int32_t topK = 0;
  float repetitionPenalty = 1, temperature = 1;
  double decayFactor = 1;
  double topP = 1;
  double logMinP = -HUGE_VAL;
  WordList eos, forcedEos, suppress, beginSuppress;
  WordList sequenceBias, badWords;  // groups of one last id: {last id, first entry, entries}
  int32_t words = 0;                // of the whole block
  int32_t reserved[3] = {};
};
static_assert(sizeof(SelectRules) % 16 == 0, "lists begin at multiples of four words");

inline SelectRules rulesAt(const int32_t* block) {
  SelectRules rules;
  memcpy(static_cast<void*>(&rules), block, sizeof rules);
  return rules;
}

// An entry of a group: {bias as bits, first word of the prefix, length of the prefix}. The bias counts where the row
// ends with the prefix.
constexpr int32_t kBiasGroupWords = 3, kBiasEntryWords = 3;

constexpr int32_t kMaxKeep = 512;  // candidates of one beam search

// A row of logits. Rows with rules < 0 are left alone.
struct SelectRow {
  int32_t rules = -1;  // word of SelectArgs::rules at which the row's block begins
  int32_t line = 0;    // of the table of ids; unused where the rules read none
  int32_t length = 0;  // ids of the row
  uint32_t step = 0;   // of its draws
  float base = 0;      // Beams: score of the row so far
  int32_t out = 0;     // Best, Draw: index of the result
  uint64_t seed = 0, sequence = 0;
};

// The rows of one beam search, side by side.
struct SelectGroup {
  int32_t firstRow, rows;
  int32_t keep, out;  // results out .. out + keep - 1, best first
};

// A continuation. token < 0: there are no more. Where no token is allowed (everything masked, or NaN) the result is the
// argmax of the first row's raw logits, in a beam search with score -inf.
struct TokenChoice {
  float score;    // Beams: base + processed log-probability; else the processed score
  float logProb;  // raw
  int32_t row;    // of the group
  int32_t token;
};

struct SelectArgs {
  const float* logits;  // [rows, vocab], row stride ld, in the backend's memory; all else is the host's
  int64_t ld, rows, vocab;
  const SelectRow* rowInfo;
  const SelectGroup* groups;
  int64_t groupCount;
  const int32_t* rules;
  int64_t ruleWords;
  uint64_t rulesSerial;  // changes whenever the words do
  const int32_t* ids;    // [lines, capacity]: ids of the rows so far
  int64_t lines, capacity;
  TokenChoice* out;  // [outCount]
  int64_t outCount;
};

// Which kinds of rows a step may have. It decides what is launched, so that rows need not be known by then.
struct SelectDemand {
  bool edited = false, best = false, drawn = false;
  int64_t maxKeep = 0;  // at least the largest `keep` of the groups
};

// --- what host and device share -------------------------------------------------------------------------------------

VED_HOST_DEVICE inline uint32_t floatBits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
VED_HOST_DEVICE inline float bitsFloat(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// Rises where the score falls; -0 counts as 0. For numbers, not for NaN.
VED_HOST_DEVICE inline uint32_t descendingKey(float score) {
  const uint32_t bits = floatBits(score + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}
VED_HOST_DEVICE inline float scoreOfKey(uint32_t key) { return bitsFloat(key >> 31 ? key : ~key & 0x7fffffffu); }

VED_HOST_DEVICE inline int scaleBits(int64_t vocab) {
  int bits = 0;
  while (bits < 32 && (int64_t{1} << bits) <= vocab) ++bits;
  return 62 - bits;
}

// floor(2^scale * e^below) for below <= 0, to a relative error of 2^-23; exactly 2^scale at 0. Every step is one
// rounded operation, so host and device get the same bits.
VED_HOST_DEVICE inline uint64_t weightBelow(float below, int scale) {
  if (!(below > -44.0f)) return 0;  // less than one unit, or NaN
  const float n = rintf(below * 1.44269504f);
  float r = fmaf(n, -0.693359375f, below);
  r = fmaf(n, 2.12194440e-4f, r);
  float p = fmaf(1.98756915e-4f, r, 1.39819995e-3f);
  p = fmaf(p, r, 8.33345191e-3f);
  p = fmaf(p, r, 4.16657962e-2f);
  p = fmaf(p, r, 1.66666654e-1f);
  p = fmaf(p, r, 0.5f);
  const float e = fmaf(p, r * r, r) + 1.0f;  // in [0.7, 1.42]
  const uint64_t mantissa = static_cast<uint64_t>(e * 1073741824.0f);
  return mantissa << (scale - 30) >> static_cast<int>(-n);
}

VED_HOST_DEVICE inline uint64_t multiplyHigh(uint64_t a, uint64_t b) {
  const uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
  const uint64_t low = a0 * b0, mid = a1 * b0 + (low >> 32), cross = a0 * b1 + (mid & 0xffffffffu);
  return a1 * b1 + (mid >> 32) + (cross >> 32);
}

// floor(uniform * total), uniform in units of 2^-53, total below 2^62: less than total.
VED_HOST_DEVICE inline uint64_t drawTarget(uint64_t uniform, uint64_t total) {
  return multiplyHigh(uniform, total) << 11 | uniform * total >> 53;
}

// Tokens stay while those before them hold less than this.
VED_HOST_DEVICE inline uint64_t topPTarget(double p, uint64_t total) {
  const double target = ceil(p * static_cast<double>(total));
  return target < 1 ? 1 : static_cast<uint64_t>(target);
}

// The smallest score that is at least log(min_p) below the maximum.
VED_HOST_DEVICE inline float minPLimit(float max, double logMinP) {
  const float limit = static_cast<float>(static_cast<double>(max) + logMinP);
  if (!(static_cast<double>(limit) - max < logMinP)) return limit;
  return scoreOfKey(descendingKey(limit) - 1);
}

// log sum_i exp(s_i) out of the sum of weights.
VED_HOST_DEVICE inline float logSumOf(float max, uint64_t total, int scale) {
  const uint64_t bits = static_cast<uint64_t>(1023 - scale) << 52;  // 2^-scale
  double unit;
  memcpy(&unit, &bits, sizeof unit);
  return static_cast<float>(static_cast<double>(max) + log(static_cast<double>(total) * unit));
}

// What is left of a draw where NaN or an infinite score is among the scores: with NaN the mass of top-p is NaN, so that
// only the best token stays; an infinite score has no weight; renormalised, both make NaN of everything.
enum class Outcome { Drawn, Best, Nothing };
VED_HOST_DEVICE inline Outcome outcomeOf(const SelectRules& r, float max, bool nan) {
  if (max == HUGE_VALF) return r.renormalize ? Outcome::Nothing : Outcome::Best;
  if (!nan) return Outcome::Drawn;
  return r.topP < 1 ? Outcome::Best : r.renormalize ? Outcome::Nothing : Outcome::Drawn;
}

struct History {
  const int32_t* ids;
  int32_t length;
};

VED_HOST_DEVICE inline bool endsWith(const History& h, const int32_t* prefix, int32_t count) {
  if (count > h.length) return false;
  for (int32_t i = 0; i < count; ++i)
    if (h.ids[h.length - 1 - i] != prefix[count - 1 - i]) return false;
  return true;
}

// What is added to the score of the group's last id. The single id, if any, is the first entry.
VED_HOST_DEVICE inline float biasOf(const int32_t* block, const int32_t* group, const History& h) {
  float sum = 0;
  for (int32_t e = 0; e < group[2]; ++e) {
    const int32_t* entry = block + group[1] + e * kBiasEntryWords;
    if (endsWith(h, block + entry[1], entry[2])) sum += bitsFloat(static_cast<uint32_t>(entry[0]));
  }
  return sum;
}

// The id that would repeat an n-gram begun at `start`, or -1: the row ends with the n - 1 ids from there.
VED_HOST_DEVICE inline int32_t repeatedAt(const History& h, int32_t start, int32_t size) {
  if (start + size > h.length) return -1;
  return endsWith(h, h.ids + start, size - 1) ? h.ids[start + size - 1] : -1;
}

// Not to be contracted with a sum that follows.
VED_HOST_DEVICE inline float product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

// s * r below zero, s / r otherwise.
VED_HOST_DEVICE inline float penalised(float score, float penalty) {
  return score < 0 ? product(score, penalty) : score / penalty;
}

VED_HOST_DEVICE inline float madeValid(float score) {
  constexpr float kMax = 3.402823466e38f;
  if (score != score) return 0;
  return score > kMax ? kMax : score < -kMax ? -kMax : score;
}

// factor^(length - start) - 1 is what an end token's score grows by, of its amount; a masked one stays masked.
VED_HOST_DEVICE inline float decayed(const SelectRules& r, float score, int32_t length) {
  double power = 1, square = r.decayFactor;
  for (int32_t n = length - r.decayStart; n > 0; n /= 2) {
    if (n % 2) power *= square;
    square *= square;
  }
  const float growth = static_cast<float>(power - 1.0);
  return score == -HUGE_VALF ? score : score + product(fabsf(score), growth);
}

VED_HOST_DEVICE inline bool readsIds(const SelectRules& r) {
  return r.repetitionPenalty != 1.0f || r.noRepeatNgram > 0 || r.sequenceBias.count > 0 || r.badWords.count > 0;
}

// Whether any processor, or the temperature, changes the scores of a row of so many ids.
VED_HOST_DEVICE inline bool edits(const SelectRules& r, int32_t length) {
  const bool dense = r.temperature != 1.0f || r.removeInvalid || (r.renormalize && r.pick != Pick::Draw);
  return readsIds(r) || dense || length < r.minLength || (r.forcedBos >= 0 && length == 1) ||
         (r.forcedEos.count > 0 && length + 1 == r.maxLength) || (r.decay && length > r.decayStart) ||
         r.suppress.count > 0 || (r.beginSuppress.count > 0 && length == r.beginSuppressAt);
}

// Whether edits() holds at this length or at a later one.
inline bool mayEdit(const SelectRules& r, int32_t length) {
  return edits(r, length) || r.forcedEos.count > 0 || r.decay ||
         (r.beginSuppress.count > 0 && length <= r.beginSuppressAt);
}

}  // namespace ved::ops
