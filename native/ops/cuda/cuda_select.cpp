// selectTokens() of the CUDA backend: what it uploads, the memory its kernels share, and the choices read back.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ops/cuda/cuda_backend.h"

namespace ved::cuda {

namespace {

// What decides which kernels run; true when any row's scores are edited.
bool countRows(const ops::SelectArgs& a, SelectCall& call) {
  bool edited = false;
  for (int64_t r = 0; r < a.rows; ++r) {
    if (a.rowInfo[r].rules < 0) continue;
    const ops::SelectRules rules = ops::rulesAt(a.rules + a.rowInfo[r].rules);
    edited |= ops::edits(rules, a.rowInfo[r].length);
    call.bestRows += rules.pick == ops::Pick::Best;
    call.drawnRows += rules.pick == ops::Pick::Draw;
  }
  for (int64_t g = 0; g < a.groupCount; ++g) call.maxKeep = std::max<int64_t>(call.maxKeep, a.groups[g].keep);
  return edited;
}

}  // namespace

// Rules stay on the device until they change; what is known of the rows travels in one copy, the choices in another.
// Blocks have room for more rows than there are, since growing costs all recordings.
void CudaBackend::selectTokens(const ops::SelectArgs& a) {
  const size_t ruleBytes = static_cast<size_t>(a.ruleWords) * sizeof(int32_t);
  if (a.rulesSerial != rulesSerial_ || ruleBytes > rules_.bytes) {
    check(api_.upload(context_, grow(rules_, std::bit_ceil(ruleBytes)), a.rules, ruleBytes));
    rulesSerial_ = a.rulesSerial;
  }
  SelectCall call{};
  call.logits = a.logits, call.ld = a.ld, call.rows = a.rows, call.vocab = a.vocab;
  call.groupCount = a.groupCount, call.capacity = a.capacity;
  call.rules = static_cast<const int32_t*>(rules_.data);
  stageSelection(a, call);
  const size_t room = std::bit_ceil(static_cast<size_t>(a.rows));
  if (countRows(a, call))
    call.processed = static_cast<float*>(grow(processed_, room * static_cast<size_t>(a.vocab) * sizeof(float)));
  const size_t ranked = aligned(room * static_cast<size_t>(call.maxKeep) * sizeof(ops::TokenChoice));
  auto* lists = static_cast<unsigned char*>(grow(ranked_, ranked + room * sizeof(int32_t)));
  call.ranked = reinterpret_cast<ops::TokenChoice*>(lists);
  call.counts = reinterpret_cast<int32_t*>(lists + ranked);
  const size_t outBytes = static_cast<size_t>(a.outCount) * sizeof(ops::TokenChoice);
  call.out = static_cast<ops::TokenChoice*>(grow(choices_, std::bit_ceil(outBytes)));
  auto* summaries = static_cast<ops::RowSummary*>(grow(summaries_, room * sizeof(ops::RowSummary)));
  call.summaries = summaries;
  const SummaryCall summary{a.logits, a.ld, a.rows, a.vocab, summaries};
  check(api_.summarize(context_, &summary));
  check(api_.selectTokens(context_, &call));
  check(api_.download(context_, a.out, choices_.data, outBytes));
  pinnedInFlight_ = false;
}

void CudaBackend::stageSelection(const ops::SelectArgs& a, SelectCall& call) {
  const size_t rows = static_cast<size_t>(a.rows) * sizeof(ops::SelectRow);
  const size_t groups = static_cast<size_t>(a.groupCount) * sizeof(ops::SelectGroup);
  const size_t ids = static_cast<size_t>(a.lines * a.capacity) * sizeof(int32_t);
  const size_t atGroups = aligned(rows), atIds = atGroups + aligned(groups);
  hostSelection_.resize(atIds + ids);
  std::memcpy(hostSelection_.data(), a.rowInfo, rows);
  if (groups) std::memcpy(hostSelection_.data() + atGroups, a.groups, groups);
  if (ids) std::memcpy(hostSelection_.data() + atIds, a.ids, ids);
  auto* device = static_cast<unsigned char*>(grow(selection_, std::bit_ceil(hostSelection_.size())));
  check(api_.upload(context_, device, hostSelection_.data(), hostSelection_.size()));
  call.rowInfo = reinterpret_cast<const ops::SelectRow*>(device);
  call.groups = reinterpret_cast<const ops::SelectGroup*>(device + atGroups);
  call.ids = reinterpret_cast<const int32_t*>(device + atIds);
}

}  // namespace ved::cuda
