// Tokens out of logits: a block per row, then one per beam search. What a row's processors change is written into a row
// of its own; without processors the scores are computed from the logits as they are read.
#include "ops/cuda/kernels/select.cuh"

namespace ved::cuda {
namespace {

constexpr size_t kPlainShared = 48 * 1024;  // more has to be asked for

__device__ __forceinline__ int64_t thread() { return static_cast<int64_t>(threadIdx.x); }

// The row that this block works on.
struct RowPlace {
  const ops::SelectRow& row;
  const ops::SelectRules& rules;
  const int32_t* block;  // of rules
  const float* logits;
  ops::RowSummary summary;
  ops::History history;
  int64_t vocab;
  __device__ bool legal(int32_t id) const { return id >= 0 && id < vocab; }
  __device__ bool edited() const { return ops::edits(rules, row.length); }
  __device__ float offset() const { return rules.pick == ops::Pick::Beams ? summary.logSumExp : 0.0f; }
  __device__ ops::TokenChoice choice(float score, int32_t token) const {
    return {score, logits[token] - summary.logSumExp, 0, token};
  }
};

__device__ __forceinline__ bool picks(const SelectCall& a, ops::Pick pick) {
  const int32_t rules = a.rowInfo[blockIdx.x].rules;
  return rules >= 0 && reinterpret_cast<const ops::SelectRules*>(a.rules + rules)->pick == pick;
}

__device__ __forceinline__ RowPlace placeOf(const SelectCall& a) {
  const ops::SelectRow& row = a.rowInfo[blockIdx.x];
  const int32_t* block = a.rules + row.rules;
  return {row,
          *reinterpret_cast<const ops::SelectRules*>(block),
          block,
          a.logits + static_cast<int64_t>(blockIdx.x) * a.ld,
          a.summaries[blockIdx.x],
          {a.ids + row.line * a.capacity, row.length},
          a.vocab};
}

__device__ __forceinline__ Scores scoresOf(const SelectCall& a, const RowPlace& p) {
  const float base = p.rules.pick == ops::Pick::Beams ? p.row.base : 0.0f;
  if (!p.edited()) return {p.logits, a.vocab, p.offset(), base};
  return {a.processed + static_cast<int64_t>(blockIdx.x) * a.vocab, a.vocab, 0.0f, base};
}

__device__ void addBiases(const RowPlace& p, const ops::WordList& groups, float* scores) {
  for (int64_t g = thread(); g < groups.count; g += kSelectThreads) {
    const int32_t* group = p.block + groups.first + g * ops::kBiasGroupWords;
    if (p.legal(group[0])) scores[group[0]] += ops::biasOf(p.block, group, p.history);
  }
  __syncthreads();
}

__device__ void maskIds(const RowPlace& p, const ops::WordList& ids, float* scores) {
  for (int64_t i = thread(); i < ids.count; i += kSelectThreads) {
    const int32_t id = p.block[ids.first + i];
    if (p.legal(id)) scores[id] = kMinusInfinity;
  }
  __syncthreads();
}

// Only these ids remain, at score 0.
__device__ void forceIds(const RowPlace& p, const int32_t* ids, int32_t count, float* scores) {
  for (int64_t i = thread(); i < p.vocab; i += kSelectThreads) scores[i] = kMinusInfinity;
  __syncthreads();
  for (int64_t i = thread(); i < count; i += kSelectThreads)
    if (p.legal(ids[i])) scores[ids[i]] = 0.0f;
  __syncthreads();
}

// Every distinct id of the row once: whoever sets its bit first.
__device__ void penalise(const RowPlace& p, unsigned* seen, float* scores) {
  for (int64_t w = thread(); w < (p.vocab + 31) / 32; w += kSelectThreads) seen[w] = 0;
  __syncthreads();
  for (int64_t i = thread(); i < p.history.length; i += kSelectThreads) {
    const int32_t id = p.history.ids[i];
    if (!p.legal(id)) continue;
    const unsigned bit = 1u << (id % 32);
    if (!(atomicOr(&seen[id / 32], bit) & bit)) scores[id] = ops::penalised(scores[id], p.rules.repetitionPenalty);
  }
  __syncthreads();
}

__device__ void banRepeats(const RowPlace& p, float* scores) {
  for (int64_t start = thread(); start < p.history.length; start += kSelectThreads) {
    const int32_t id = ops::repeatedAt(p.history, static_cast<int32_t>(start), p.rules.noRepeatNgram);
    if (p.legal(id)) scores[id] = kMinusInfinity;
  }
  __syncthreads();
}

__device__ void growEnd(const RowPlace& p, float* scores) {
  if (threadIdx.x == 0)
    for (int32_t i = 0; i < p.rules.eos.count; ++i) {
      const int32_t id = p.block[p.rules.eos.first + i];
      if (p.legal(id)) scores[id] = ops::decayed(p.rules, scores[id], p.row.length);
    }
  __syncthreads();
}

__device__ void renormalize(SelectShared& shared, float* values, int64_t vocab) {
  const Scores scores = {values, vocab, 0.0f, 0.0f};
  const Best best = blockBest(shared, scores);
  float logSum = ops::bitsFloat(0x7fc00000u);  // NaN
  if (!best.nan && best.index >= 0 && best.value < -kMinusInfinity) {
    Weights weights;
    weights.max = best.value;
    weights.scale = ops::scaleBits(vocab);
    logSum = ops::logSumOf(best.value, blockSum(shared, scores, weights), weights.scale);
  }
  for (int64_t i = thread(); i < vocab; i += kSelectThreads) values[i] -= logSum;
}

// The processors in transformers' order, then the temperature.
__device__ void editScores(SelectShared& shared, const RowPlace& p, unsigned* seen, float* scores) {
  const ops::SelectRules& r = p.rules;
  const int32_t length = p.row.length;
  const float offset = p.offset();
  for (int64_t i = thread(); i < p.vocab; i += kSelectThreads) scores[i] = p.logits[i] - offset;
  __syncthreads();
  if (r.sequenceBias.count) addBiases(p, r.sequenceBias, scores);
  if (r.repetitionPenalty != 1.0f) penalise(p, seen, scores);
  if (r.noRepeatNgram > 0) banRepeats(p, scores);
  if (r.badWords.count) addBiases(p, r.badWords, scores);
  if (length < r.minLength) maskIds(p, r.eos, scores);
  if (r.forcedBos >= 0 && length == 1) forceIds(p, &r.forcedBos, 1, scores);
  if (r.forcedEos.count > 0 && length + 1 == r.maxLength)
    forceIds(p, p.block + r.forcedEos.first, r.forcedEos.count, scores);
  if (r.removeInvalid) {
    for (int64_t i = thread(); i < p.vocab; i += kSelectThreads) scores[i] = ops::madeValid(scores[i]);
    __syncthreads();
  }
  if (r.decay && length > r.decayStart) growEnd(p, scores);
  if (r.suppress.count) maskIds(p, r.suppress, scores);
  if (length == r.beginSuppressAt) maskIds(p, r.beginSuppress, scores);
  if (r.temperature != 1.0f) {
#pragma unroll 1
    for (int64_t i = thread(); i < p.vocab; i += kSelectThreads) scores[i] /= r.temperature;
    __syncthreads();
  }
  if (r.renormalize && r.pick != ops::Pick::Draw) renormalize(shared, scores, p.vocab);
}

// Shared memory: SelectShared, then one bit per id for the repetition penalty.
__global__ void __launch_bounds__(kSelectThreads) editKernel(SelectCall a) {
  if (a.rowInfo[blockIdx.x].rules < 0) return;
  const RowPlace p = placeOf(a);
  if (!p.edited()) return;
  auto& shared = *sharedMemory<SelectShared>();
  editScores(shared, p, reinterpret_cast<unsigned*>(&shared + 1),
             a.processed + static_cast<int64_t>(blockIdx.x) * a.vocab);
}

// Without edits the summary has the answer; where nothing is allowed it has a legal one.
__global__ void __launch_bounds__(kSelectThreads) bestKernel(SelectCall a) {
  if (!picks(a, ops::Pick::Best)) return;
  const RowPlace p = placeOf(a);
  Best best = {p.summary.max, p.summary.argmax, false};
  if (p.edited()) best = blockBest(*sharedMemory<SelectShared>(), scoresOf(a, p));
  if (threadIdx.x == 0) a.out[p.row.out] = p.choice(best.value, best.index < 0 ? p.summary.argmax : best.index);
}

// The last of so many scores equal to the key, in the order of their ids.
__device__ int64_t lastOfTies(SelectShared& shared, const Scores& scores, uint32_t key, Mass ties) {
  Weights equal;
  equal.from = equal.limit = key;
  return crossIndex(shared, scores, equal, {ties - 1});
}

// The scores that top-k, top-p and min-p leave, with their weights in a draw.
__device__ Weights warp(SelectShared& shared, const ops::SelectRules& r, const Scores& scores, float max) {
  Weights kept;
  kept.max = max;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    if (pass == 1) kept.scale = ops::scaleBits(scores.count);
    if (pass == 0 ? r.topK <= 0 : r.topP >= 1.0) continue;
    const Crossing c = crossScores(shared, scores, max, kept, {static_cast<Mass>(r.topK), pass == 0 ? 1.0 : r.topP});
    if (!c.found) continue;
    kept.limit = c.key;
    if (pass == 0) continue;
    // Of equal scores as many as the mass takes.
    const Mass each = ops::weightBelow(ops::scoreOfKey(c.key) - max, kept.scale);
    const Mass ties = (c.target - c.above + each - 1) / each;
    kept.tied = c.key;
    kept.lastTied = ties * each < c.at ? lastOfTies(shared, scores, c.key, ties) : scores.count;
  }
  const uint32_t limit = ops::descendingKey(ops::minPLimit(max, r.logMinP));
  if (limit < kept.limit) kept.limit = limit;
  return kept;
}

__global__ void __launch_bounds__(kSelectThreads, 1) drawKernel(SelectCall a) {
  if (!picks(a, ops::Pick::Draw)) return;
  const RowPlace p = placeOf(a);
  auto& shared = *sharedMemory<SelectShared>();
  const Scores scores = scoresOf(a, p);
  const Best best = blockBest(shared, scores);
  ops::Outcome outcome = ops::Outcome::Nothing;
  if (best.index >= 0) outcome = ops::outcomeOf(p.rules, best.value, best.nan);
  int64_t token = outcome == ops::Outcome::Nothing ? p.summary.argmax : best.index;
  if (outcome == ops::Outcome::Drawn) {
    const Weights kept = warp(shared, p.rules, scores, best.value);
    const Philox random(p.row.seed, p.row.sequence);
    token = crossIndex(shared, scores, kept, {0, 1, true, random.uniformBits(p.row.step)});
  }
  if (threadIdx.x == 0)
    a.out[p.row.out] =
        p.choice(outcome == ops::Outcome::Nothing ? kMinusInfinity : scores.at(token), static_cast<int32_t>(token));
}

// Which scores are among the best `keep`: of equal ones the lowest ids.
__device__ Weights bestScores(SelectShared& shared, const Scores& scores, float max, int32_t keep) {
  Weights kept;
  const Crossing c = crossScores(shared, scores, max, kept, {static_cast<Mass>(keep)});
  if (!c.found) return kept;
  kept.limit = kept.tied = c.key;
  const Mass ties = c.target - c.above;
  kept.lastTied = ties < c.at ? lastOfTies(shared, scores, c.key, ties) : scores.count;
  return kept;
}

// The row's best continuations in order, and how many there are. Shared memory: their list, then SelectShared.
__global__ void __launch_bounds__(kSelectThreads, 1) rankKernel(SelectCall a) {
  if (!picks(a, ops::Pick::Beams)) return;
  const RowPlace p = placeOf(a);
  auto* list = sharedMemory<ops::TokenChoice>();
  auto& shared = *reinterpret_cast<SelectShared*>(list + a.maxKeep);
  const Scores scores = scoresOf(a, p);
  const Best best = blockBest(shared, scores);
  if (threadIdx.x == 0) shared.count = 0;
  __syncthreads();
  if (best.index >= 0) {
    const Weights kept = bestScores(shared, scores, best.value, p.rules.keep);
    forEachScore(scores, [&](int64_t i, float s) {
      if (kept.of(i, s)) list[atomicAdd(&shared.count, 1)] = p.choice(s, static_cast<int32_t>(i));
    });
  }
  __syncthreads();
  const int32_t count = shared.count;
  ops::TokenChoice* out = a.ranked + static_cast<int64_t>(blockIdx.x) * a.maxKeep;
  for (int64_t i = thread(); i < count; i += kSelectThreads) {
    int32_t rank = 0;
    for (int32_t j = 0; j < count; ++j)
      rank += list[j].score > list[i].score || (list[j].score == list[i].score && list[j].token < list[i].token);
    out[rank] = list[i];
  }
  if (threadIdx.x == 0) a.counts[blockIdx.x] = count;
}

// Better than (score, ...) in a row's ordered list; equal scores count where `ties`.
__device__ int32_t betterIn(const ops::TokenChoice* list, int32_t count, float score, bool ties) {
  int32_t low = 0;
  while (low < count) {
    const int32_t middle = (low + count) / 2;
    const float s = list[middle].score;
    if (s > score || (ties && s == score))
      low = middle + 1;
    else
      count = middle;
  }
  return low;
}

// A block per beam search: every candidate of its rows finds its own place.
__global__ void __launch_bounds__(kSelectThreads) mergeKernel(SelectCall a) {
  const ops::SelectGroup group = a.groups[blockIdx.x];
  if (group.rows == 0) return;
  const ops::TokenChoice* ranked = a.ranked + static_cast<int64_t>(group.firstRow) * a.maxKeep;
  const int32_t* counts = a.counts + group.firstRow;
  ops::TokenChoice* out = a.out + group.out;
  int32_t total = 0;
  for (int32_t r = 0; r < group.rows; ++r) total += counts[r];
  for (int64_t i = thread(); i < static_cast<int64_t>(group.rows) * group.keep; i += kSelectThreads) {
    const int32_t r = static_cast<int32_t>(i / group.keep), at = static_cast<int32_t>(i % group.keep);
    if (at >= counts[r]) continue;
    ops::TokenChoice choice = ranked[static_cast<int64_t>(r) * a.maxKeep + at];
    int32_t rank = at;
    for (int32_t other = 0; other < group.rows && rank < group.keep; ++other)
      if (other != r)
        rank += betterIn(ranked + static_cast<int64_t>(other) * a.maxKeep, counts[other], choice.score, other < r);
    choice.row = r;
    if (rank < group.keep) out[rank] = choice;
  }
  for (int64_t i = total + thread(); i < group.keep; i += kSelectThreads)
    if (i > 0 || total > 0) out[i] = {kMinusInfinity, 0.0f, 0, -1};
  if (total > 0 || threadIdx.x != 0) return;
  const ops::RowSummary& summary = a.summaries[group.firstRow];
  const float logit = a.logits[static_cast<int64_t>(group.firstRow) * a.ld + summary.argmax];
  out[0] = {kMinusInfinity, logit - summary.logSumExp, 0, summary.argmax};
}

}  // namespace

Status selectTokens(Context& c, const SelectCall& a) {
  if (a.vocab > kMaxSelectVocab || a.maxKeep > ops::kMaxKeep)
    return rejected(c, "select: too many logits or candidates");
  if (a.rows == 0) return kOk;
  const dim3 rows(static_cast<unsigned>(a.rows)), threads(kSelectThreads);
  const size_t shared = sizeof(SelectShared), seen = static_cast<size_t>((a.vocab + 31) / 32) * sizeof(unsigned);
  const size_t list = static_cast<size_t>(a.maxKeep) * sizeof(ops::TokenChoice);
  if (shared + seen > kPlainShared) {
    const int bytes = static_cast<int>(shared + seen);
    const Status status =
        report(c, cudaFuncSetAttribute(editKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "select");
    if (status != kOk) return status;
  }
  if (a.processed) launchKernel(c.stream, editKernel, rows, threads, shared + seen, a);
  if (a.bestRows > 0) launchKernel(c.stream, bestKernel, rows, threads, shared, a);
  if (a.drawnRows > 0) launchKernel(c.stream, drawKernel, rows, threads, shared, a);
  if (a.groupCount > 0) {
    launchKernel(c.stream, rankKernel, rows, threads, list + shared, a);
    launchKernel(c.stream, mergeKernel, dim3(static_cast<unsigned>(a.groupCount)), threads, 0, a);
  }
  return launched(c, "select");
}

}  // namespace ved::cuda
