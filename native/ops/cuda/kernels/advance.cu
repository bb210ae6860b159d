// The rows of the next step: a thread per row that goes on with its own choice, then a block per beam search, which
// moves the lines of its tables through shared memory, many positions of all its rows at a time.
#include "ops/advance.h"
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kMaxBeams = ops::kMaxKeep / 2;
constexpr int kTile = 8192;  // words of lines that are moved at once

struct Shared {
  int32_t parents[kMaxBeams], tokens[kMaxBeams];  // token -1: the row stays as it is
  float scores[kMaxBeams];
  int32_t tile[kTile];
};
static_assert(sizeof(Shared) <= 48 * 1024, "more would have to be asked for");

__device__ __forceinline__ const ops::SelectRules& rulesOf(const ops::AdvanceArgs& a, int64_t r) {
  return *reinterpret_cast<const ops::SelectRules*>(a.rules + a.rowInfo[r].rules);
}

__device__ void advanceSingle(const ops::AdvanceArgs& a, int64_t r) {
  if (r >= a.rows || a.rowInfo[r].rules < 0) return;
  const ops::SelectRules& rules = rulesOf(a, r);
  if (rules.pick == ops::Pick::Beams || !ops::goesOn(rules, a.rowInfo[r].length)) return;
  ops::advanceRow(a, r, ops::readsIds(rules), a.choices[a.rowInfo[r].out].token, 0.0f);
}

// The first `count` entries of every row's line become those of its parent. lineOf(i): where row i's line begins.
template <class LineOf>
__device__ void takeOver(Shared& shared, int32_t rows, int64_t count, LineOf lineOf) {
  const int32_t span = kTile / rows, self = static_cast<int32_t>(threadIdx.x);
  for (int64_t from = 0; from < count; from += span) {
    const int32_t width = count - from < span ? static_cast<int32_t>(count - from) : span;
#pragma unroll 2
    for (int32_t e = self; e < rows * width; e += kThreads) shared.tile[e] = lineOf(e / width)[from + e % width];
    __syncthreads();
#pragma unroll 2
    for (int32_t e = self; e < rows * width; e += kThreads) {
      const int32_t i = e / width, parent = shared.parents[i];
      if (parent != i) lineOf(i)[from + e % width] = shared.tile[parent * width + e % width];
    }
    __syncthreads();
  }
}

__device__ void advanceBeams(const ops::AdvanceArgs& a, const ops::SelectGroup& group) {
  auto& shared = *sharedMemory<Shared>();
  const int64_t first = group.firstRow;
  const ops::SelectRules& rules = rulesOf(a, first);
  const int32_t* block = a.rules + a.rowInfo[first].rules;
  const ops::TokenChoice* ranked = a.choices + group.out;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < group.rows; i += kThreads) {
    int32_t c = -1;
    if (ops::goesOn(rules, a.rowInfo[first + i].length)) c = ops::survivorOf(ranked, group.keep, block, rules.eos, i);
    shared.parents[i] = c < 0 ? i : ranked[c].row;
    shared.tokens[i] = c < 0 ? -1 : ranked[c].token;
    shared.scores[i] = c < 0 ? 0.0f : ranked[c].score;
  }
  __syncthreads();
  bool moved = false;
#pragma unroll 1
  for (int32_t i = 0; i < group.rows; ++i) moved |= shared.parents[i] != i;
  const bool keepsIds = ops::readsIds(rules);
  if (moved) {
    takeOver(shared, group.rows, a.position[first] + 1,
             [&](int32_t i) { return a.ancestry + a.row[first + i] * a.capacity; });
    if (keepsIds)
      takeOver(shared, group.rows, a.rowInfo[first].length,
               [&](int32_t i) { return a.ids + a.rowInfo[first + i].line * a.idCapacity; });
  }
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < group.rows; i += kThreads)
    if (shared.tokens[i] >= 0) ops::advanceRow(a, first + i, keepsIds, shared.tokens[i], shared.scores[i]);
}

__global__ void __launch_bounds__(kThreads) advanceKernel(ops::AdvanceArgs a, int64_t rowBlocks) {
  if (blockIdx.x < rowBlocks) return advanceSingle(a, static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x);
  const ops::SelectGroup& group = a.groups[blockIdx.x - rowBlocks];
  if (group.rows > 0) advanceBeams(a, group);
}

}  // namespace

Status advanceRows(Context& c, const ops::AdvanceArgs& a) {
  if (a.rows == 0) return kOk;
  const int64_t rowBlocks = blocksFor(a.rows, kThreads), blocks = rowBlocks + a.groupCount;
  launchKernel(c.stream, advanceKernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
               a.groupCount > 0 ? sizeof(Shared) : 0, a, rowBlocks);
  return launched(c, "advance");
}

}  // namespace ved::cuda
