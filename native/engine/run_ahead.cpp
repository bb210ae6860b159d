#include "engine/run_ahead.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>

namespace ved::engine {
namespace {

// Launched and not read: the one that runs and the one behind it. More would only be wasted when a search ends.
constexpr int kStepsAhead = 2;
constexpr size_t kAlign = 256;  // of every array

bool switchedOff() {
  const char* value = std::getenv("VED_NO_RUN_AHEAD");
  return value && std::string(value) == "1";
}

size_t floatsOf(size_t bytes) { return (bytes + sizeof(float) - 1) / sizeof(float); }

}  // namespace

bool foreseen(const std::vector<int32_t>& rules, std::span<const ops::TokenChoice> choices, const decode::Step& step,
              int32_t rows) {
  const ops::SelectRules r = ops::rulesAt(rules.data());
  if (step.tokens.size() != static_cast<size_t>(rows)) return false;
  if (r.pick != ops::Pick::Beams) return step.tokens.front() == choices.front().token;
  for (int32_t i = 0; i < rows; ++i) {
    const int32_t c = ops::survivorOf(choices.data(), static_cast<int32_t>(choices.size()), rules.data(), r.eos, i);
    if (c < 0) return false;
    const ops::TokenChoice& next = choices[static_cast<size_t>(c)];
    const auto row = static_cast<size_t>(i);
    if (next.row != step.parents[row] || next.token != step.tokens[row]) return false;
  }
  return true;
}

bool RunAhead::possible(Model& model) {
  const ops::Backend& backend = model.backend();
  return !backend.hostMemory() && backend.selects(model.spec().decoder.vocabSize) && !switchedOff();
}

bool RunAhead::takes(decode::Search& search) {
  const std::vector<int32_t>& rules = search.rules();
  if (rules.empty() || search.liveRows() != search.maxRows()) return false;
  return static_cast<int64_t>(search.liveRow(0).ids.size()) < ops::rulesAt(rules.data()).maxLength;
}

void RunAhead::start(const std::vector<std::unique_ptr<Item>>& items, const TokenBatch& batch,
                     const Selection& selection, const Ancestry& ancestry, const Memory& memory) {
  end();
  rows_ = static_cast<int64_t>(batch.ids.size());
  idCapacity_ = memory.self->capacity + 1;
  const Layout layout = layoutFor(ancestry, memory.self->capacity);
  stageRows(batch, ancestry, layout);
  stageSelection(selection, layout);
  bind(selection, ancestry, layout, memory);
  setDemand(selection);
  follow(items, selection);
  running_ = true;
}

void RunAhead::follow(const std::vector<std::unique_ptr<Item>>& items, const Selection& selection) {
  for (size_t i = 0; i < items.size(); ++i) {
    decode::Search& search = *items[i]->search;
    const Selection::Range range = selection.range(i);
    followers_.push_back({items[i].get(), static_cast<int64_t>(search.liveRow(0).ids.size()),
                          ops::rulesAt(search.rules().data()).maxLength, static_cast<size_t>(range.first),
                          static_cast<size_t>(range.count)});
  }
}

// Addresses are the same for every number of rows, so that recordings stay good.
RunAhead::Layout RunAhead::layoutFor(const Ancestry& ancestry, int64_t capacity) {
  size_t end = 0;
  const auto place = [&](int64_t count, size_t size) {
    const size_t begin = end;
    end += (static_cast<size_t>(count) * size + kAlign - 1) / kAlign * kAlign;
    return begin;
  };
  const int64_t rows = ancestry.maxRows;
  Layout at{};
  for (size_t* offset : {&at.ids, &at.positionIds, &at.row, &at.position, &at.length, &at.crossSlot, &at.crossLength,
                         &at.first, &at.one})
    *offset = place(rows, sizeof(int32_t));
  at.rowInfo = place(rows, sizeof(ops::SelectRow));
  at.groups = place(rows, sizeof(ops::SelectGroup));
  at.ancestry = place(ancestry.lines * capacity, sizeof(int32_t));
  at.lines = end;
  state_.reserve(floatsOf(end + static_cast<size_t>(rows * idCapacity_) * sizeof(int32_t)));
  host_.assign(end, 0);
  return at;
}

void RunAhead::stageRows(const TokenBatch& batch, const Ancestry& ancestry, const Layout& at) {
  const auto put = [&](size_t offset, const std::vector<int32_t>& values) {
    std::memcpy(host_.data() + offset, values.data(), values.size() * sizeof(int32_t));
  };
  put(at.ids, batch.ids);
  put(at.positionIds, batch.positionIds);
  put(at.row, batch.row);
  put(at.position, batch.position);
  put(at.length, batch.length);
  put(at.crossSlot, batch.crossSlot);
  put(at.crossLength, batch.crossLength);
  put(at.ancestry, ancestry.table);
  // Every token is a run of its own.
  for (int32_t r = 0; r < static_cast<int32_t>(rows_); ++r) {
    const int32_t one = 1;
    std::memcpy(host_.data() + at.first + static_cast<size_t>(r) * sizeof r, &r, sizeof r);
    std::memcpy(host_.data() + at.one + static_cast<size_t>(r) * sizeof one, &one, sizeof one);
  }
}

void RunAhead::stageSelection(const Selection& selection, const Layout& at) {
  const std::span<const ops::SelectRow> rows = selection.rows();
  const std::span<const ops::SelectGroup> groups = selection.groups();
  const std::vector<ops::SelectRow> padding(static_cast<size_t>(rows_) - rows.size());
  std::memcpy(host_.data() + at.rowInfo, rows.data(), rows.size_bytes());
  if (!padding.empty())
    std::memcpy(host_.data() + at.rowInfo + rows.size_bytes(), padding.data(), padding.size() * sizeof padding[0]);
  if (!groups.empty()) std::memcpy(host_.data() + at.groups, groups.data(), groups.size_bytes());
  const size_t line = static_cast<size_t>(idCapacity_) * sizeof(int32_t);
  host_.resize(at.lines + selection.histories().size() * line);
  size_t begin = at.lines;
  for (const std::vector<int32_t>* ids : selection.histories()) {
    std::memcpy(host_.data() + begin, ids->data(), ids->size() * sizeof(int32_t));
    begin += line;
  }
  ops::Backend& backend = model_.backend();
  backend.upload(state_.data(), reinterpret_cast<const float*>(host_.data()), host_.size() / sizeof(float));
  const std::span<const int32_t> words = selection.words();
  const size_t before = rules_.size();
  rules_.reserve(std::bit_ceil(words.size()));
  if (rulesSerial_ != selection.serial() || rules_.size() != before)
    backend.upload(rules_.data(), reinterpret_cast<const float*>(words.data()), words.size());
  rulesSerial_ = selection.serial();
  choiceCount_ = static_cast<size_t>(selection.choiceCount());
  choices_.reserve(floatsOf(std::bit_ceil(choiceCount_ * sizeof(ops::TokenChoice))));
}

void RunAhead::bind(const Selection& selection, const Ancestry& ancestry, const Layout& layout, const Memory& memory) {
  const int64_t vocab = model_.spec().decoder.vocabSize, lines = static_cast<int64_t>(selection.histories().size());
  // As many groups as there is room for: those of no rows are passed over, and the recording is good for any number.
  const int64_t groups = selection.groups().empty() ? 0 : std::max<int64_t>(1, rows_ / 2);
  bindings_ = {};
  bindings_.stop = &stop_;
  bindings_.tokens = rows_;
  bindings_.output = memory.hidden;
  bindings_.ids = at<int32_t>(layout.ids);
  bindings_.positionIds = at<int32_t>(layout.positionIds);
  bindings_.row = bindings_.slot = at<int32_t>(layout.row);
  bindings_.position = at<int32_t>(layout.position);
  bindings_.length = at<int32_t>(layout.length);
  bindings_.crossSlot = at<int32_t>(layout.crossSlot);
  bindings_.crossLength = at<int32_t>(layout.crossLength);
  bindings_.firstOfRun = at<int32_t>(layout.first);
  bindings_.lengthOfRun = at<int32_t>(layout.one);
  bindings_.ancestry = at<int32_t>(layout.ancestry);
  bindings_.ancestryRows = ancestry.lines;
  bindings_.selfCache = memory.self;
  bindings_.crossCache = memory.cross;
  logits_ = memory.logits;

  auto* rules = reinterpret_cast<const int32_t*>(rules_.data());
  auto* choices = reinterpret_cast<ops::TokenChoice*>(choices_.data());
  auto* ids = at<int32_t>(layout.lines);
  const auto words = static_cast<int64_t>(selection.words().size()), count = static_cast<int64_t>(choiceCount_);
  select_ = {logits_,
             vocab,
             rows_,
             vocab,
             at<ops::SelectRow>(layout.rowInfo),
             at<ops::SelectGroup>(layout.groups),
             groups,
             rules,
             words,
             0,
             ids,
             lines,
             idCapacity_,
             choices,
             count};
  advance_ = {};
  advance_.rowInfo = at<ops::SelectRow>(layout.rowInfo);
  advance_.rows = rows_;
  advance_.groups = select_.groups, advance_.groupCount = groups;
  advance_.rules = rules, advance_.ruleWords = words;
  advance_.choices = choices, advance_.choiceCount = count;
  advance_.ids = ids, advance_.lines = lines, advance_.idCapacity = idCapacity_;
  advance_.token = at<int32_t>(layout.ids);
  advance_.positionId = at<int32_t>(layout.positionIds);
  advance_.position = at<int32_t>(layout.position);
  advance_.length = at<int32_t>(layout.length);
  advance_.row = at<int32_t>(layout.row);
  advance_.ancestry = at<int32_t>(layout.ancestry);
  advance_.ancestryLines = ancestry.lines, advance_.capacity = memory.self->capacity;
  advance_.positions = model_.positionRule();
}

// What holds for all steps to come; rounded up, so that few recordings serve all searches.
void RunAhead::setDemand(const Selection& selection) {
  demand_ = {};
  for (const ops::SelectRow& row : selection.rows()) {
    const ops::SelectRules rules = ops::rulesAt(selection.words().data() + row.rules);
    demand_.edited |= ops::mayEdit(rules, row.length);
    demand_.best |= rules.pick == ops::Pick::Best;
    demand_.drawn |= rules.pick == ops::Pick::Draw;
  }
  size_t keep = 0;
  for (const ops::SelectGroup& group : selection.groups()) keep = std::max(keep, static_cast<size_t>(group.keep));
  demand_.maxKeep = keep ? static_cast<int64_t>(std::bit_ceil(keep)) : 0;
}

void RunAhead::launch() {
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  const uint64_t key[] = {address(state_.data()),
                          address(rules_.data()),
                          address(choices_.data()),
                          static_cast<uint64_t>(advance_.ancestryLines),
                          static_cast<uint64_t>(select_.groupCount),
                          static_cast<uint64_t>(demand_.edited) | static_cast<uint64_t>(demand_.best) << 1 |
                              static_cast<uint64_t>(demand_.drawn) << 2,
                          static_cast<uint64_t>(demand_.maxKeep)};
  ops::Backend& backend = model_.backend();
  model_.step(bindings_, kTokensPerRun, logits_, key, [&] {
    backend.selectInPlace(select_, demand_);
    backend.advanceRows(advance_);
  });
  backend.startDownload(lane_, choices_.data(), choiceCount_ * sizeof(ops::TokenChoice));
  lane_ = (lane_ + 1) % kStepsAhead;
  ++inFlight_;
}

std::span<const ops::TokenChoice> RunAhead::read() {
  const int lane = (lane_ + kStepsAhead - inFlight_) % kStepsAhead;
  const void* choices = model_.backend().finishDownload(lane);
  --inFlight_;
  return {static_cast<const ops::TokenChoice*>(choices), choiceCount_};
}

bool RunAhead::mayLaunch() const {
  return inFlight_ < kStepsAhead && std::any_of(followers_.begin(), followers_.end(), [&](const Follower& f) {
           return f.item && f.length + inFlight_ < f.maxLength;
         });
}

size_t RunAhead::live() const {
  return static_cast<size_t>(
      std::count_if(followers_.begin(), followers_.end(), [](const Follower& f) { return f.item != nullptr; }));
}

void RunAhead::forget(const Item& item) {
  for (Follower& follower : followers_)
    if (follower.item == &item) follower.item = nullptr;
}

}  // namespace ved::engine
