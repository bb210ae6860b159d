// The choice of tokens on the CUDA backend: what is uploaded, the memory that kernels share, the choices read back, and
// the same without the host in between.
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
void CudaBackend::selectTokens(const ops::SelectArgs& a) {
  const size_t ruleBytes = static_cast<size_t>(a.ruleWords) * sizeof(int32_t);
  if (a.rulesSerial != rulesSerial_ || ruleBytes > rules_.bytes) {
    check(api_.upload(context_, grow(rules_, std::bit_ceil(ruleBytes)), a.rules, ruleBytes));
    rulesSerial_ = a.rulesSerial;
  }
  SelectCall call{};
  call.rules = static_cast<const int32_t*>(rules_.data);
  stageSelection(a, call);
  const bool edited = countRows(a, call);
  const size_t outBytes = static_cast<size_t>(a.outCount) * sizeof(ops::TokenChoice);
  call.out = static_cast<ops::TokenChoice*>(grow(choices_, std::bit_ceil(outBytes)));
  launchSelection(a, call, edited);
  readBack(a.out, choices_.data, outBytes);
}

void CudaBackend::selectInPlace(const ops::SelectArgs& a, const ops::SelectDemand& demand) {
  SelectCall call{};
  call.rules = a.rules, call.rowInfo = a.rowInfo, call.groups = a.groups, call.ids = a.ids, call.out = a.out;
  call.bestRows = demand.best, call.drawnRows = demand.drawn, call.maxKeep = demand.maxKeep;
  launchSelection(a, call, demand.edited);
}

// Blocks have room for more rows than there are, since growing costs all recordings.
void CudaBackend::launchSelection(const ops::SelectArgs& a, SelectCall& call, bool edited) {
  call.logits = a.logits, call.ld = a.ld, call.rows = a.rows, call.vocab = a.vocab;
  call.groupCount = a.groupCount, call.capacity = a.capacity;
  const size_t room = std::bit_ceil(static_cast<size_t>(a.rows));
  if (edited)
    call.processed = static_cast<float*>(grow(processed_, room * static_cast<size_t>(a.vocab) * sizeof(float)));
  const size_t ranked = aligned(room * static_cast<size_t>(call.maxKeep) * sizeof(ops::TokenChoice));
  auto* lists = static_cast<unsigned char*>(grow(ranked_, ranked + room * sizeof(int32_t)));
  call.ranked = reinterpret_cast<ops::TokenChoice*>(lists);
  call.counts = reinterpret_cast<int32_t*>(lists + ranked);
  auto* summaries = static_cast<ops::RowSummary*>(grow(summaries_, room * sizeof(ops::RowSummary)));
  call.summaries = summaries;
  const SummaryCall summary{a.logits, a.ld, a.rows, a.vocab, summaries};
  check(api_.summarize(context_, &summary));
  check(api_.selectTokens(context_, &call));
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

void CudaBackend::advanceRows(const ops::AdvanceArgs& a) { check(api_.advanceRows(context_, &a)); }

// --- downloads that do not wait -------------------------------------------------------------------------------------

void CudaBackend::startDownload(int lane, const void* from, size_t bytes) {
  while (lanes_.size() <= static_cast<size_t>(lane)) {
    lanes_.push_back({});
    check(api_.createEvent(context_, &lanes_.back().event));
  }
  Lane& l = lanes_[static_cast<size_t>(lane)];
  if (l.bytes < bytes) {
    if (l.host) api_.releaseHost(context_, l.host);
    l.host = nullptr, l.bytes = 0;
    check(api_.allocateHost(context_, std::bit_ceil(bytes), &l.host));
    l.bytes = std::bit_ceil(bytes);
  }
  check(api_.fetch(context_, l.host, from, bytes, l.event));
}

const void* CudaBackend::finishDownload(int lane) {
  const Lane& l = lanes_[static_cast<size_t>(lane)];
  check(api_.awaitEvent(context_, l.event));
  return l.host;
}

}  // namespace ved::cuda
