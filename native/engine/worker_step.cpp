// One token for every live row: by a step that the host stages and reads, or by one that the backend took ahead.
#include <algorithm>

#include "core/error.h"
#include "engine/worker.h"

namespace ved::engine {
namespace {

// A device replays a recorded run only for the same number of rows, so that those are rounded up.
constexpr int64_t kRowBuckets[] = {1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, kTokensPerRun};

bool sameRow(const TokenBatch& batch, int64_t token) {
  return batch.row[static_cast<size_t>(token)] == batch.row[static_cast<size_t>(token + 1)];
}

}  // namespace

void TokenBatch::clear() {
  for (auto* v : {&ids, &positionIds, &row, &position, &length, &crossSlot, &crossLength}) v->clear();
  lastToken.clear();
  real = 0;
}

void Engine::Worker::pushToken(TokenBatch& batch, const Item& item, int32_t row, int32_t id, int32_t positionId,
                               int64_t position) {
  batch.ids.push_back(id);
  batch.positionIds.push_back(positionId);
  batch.row.push_back(row);
  batch.position.push_back(static_cast<int32_t>(position));
  batch.length.push_back(static_cast<int32_t>(position) + 1);
  batch.crossSlot.push_back(item.image->slot);
  batch.crossLength.push_back(static_cast<int32_t>(item.image->tokens));
  ancestry_[static_cast<size_t>(row * self_->capacity() + position)] = row;
}

// The prompt runs once, in the search's first row; beams branch off from it afterwards.
void Engine::Worker::collectPrompt(TokenBatch& batch, Item& item) {
  std::vector<int32_t> positionIds(item.pending.size());
  model_.positionIds(item.pending.data(), static_cast<int64_t>(item.pending.size()), 0, positionIds.data());
  for (size_t i = 0; i < item.pending.size(); ++i)
    pushToken(batch, item, item.rows[0], item.pending[i], positionIds[i], static_cast<int64_t>(i));
  batch.lastToken.push_back(static_cast<int64_t>(batch.ids.size()) - 1);
  item.position = static_cast<int64_t>(item.pending.size());
  item.prefilled = true;
}

void Engine::Worker::collectLive(TokenBatch& batch, const Item& item) {
  for (size_t i = 0; i < item.pending.size(); ++i) {
    int32_t positionId = 0;
    model_.positionIds(&item.pending[i], 1, item.position, &positionId);
    pushToken(batch, item, item.rows[i], item.pending[i], positionId, item.position);
    batch.lastToken.push_back(static_cast<int64_t>(batch.ids.size()) - 1);
  }
}

// Tokens that the backend took over by itself lie in the cache now.
void Engine::Worker::feed(Item& item) {
  for (size_t i = 0; i < item.pending.size(); ++i)
    ancestry_[static_cast<size_t>(item.rows[i] * self_->capacity() + item.position)] = item.rows[i];
  ++item.position;
}

int64_t Engine::Worker::paddedRows(int64_t rows) const {
  if (model_.backend().hostMemory()) return rows;
  const int64_t whole = rows / kTokensPerRun * kTokensPerRun;
  return rows == whole ? rows : whole + *std::lower_bound(std::begin(kRowBuckets), std::end(kRowBuckets), rows - whole);
}

// Rows that nobody reads: token 0 at position 0 of slots and lines of the ancestry table that no search owns.
// Neighbours belong to different ones, because tokens of one row side by side would be taken for a prompt.
void Engine::Worker::padBatch(TokenBatch& batch) {
  batch.real = static_cast<int64_t>(batch.ids.size());
  const auto size = static_cast<size_t>(paddedRows(batch.real));
  for (auto* v : {&batch.ids, &batch.positionIds, &batch.position, &batch.crossSlot}) v->resize(size, 0);
  for (auto* v : {&batch.length, &batch.crossLength}) v->resize(size, 1);
  while (batch.row.size() < size) {
    const auto spare = static_cast<int32_t>(maxBatch_ + static_cast<int64_t>(batch.row.size() % 2));
    ancestry_[static_cast<size_t>(spare * self_->capacity())] = spare;
    batch.row.push_back(spare);
  }
}

void Engine::Worker::decodeChunks(const TokenBatch& batch) {
  const int64_t width = model_.spec().decoder.hiddenSize;
  const int64_t total = static_cast<int64_t>(batch.ids.size());
  hidden_.reserve(static_cast<size_t>(total * width));
  for (int64_t begin = 0, end; begin < total; begin = end) {
    end = std::min(begin + kTokensPerRun, total);
    // the tokens of a prompt read each other's predicting streams
    while (model_.spec().decoder.streams && end < total && sameRow(batch, end - 1)) ++end;
    plan::Bindings b;
    b.stop = &stop_;
    b.tokens = end - begin;
    b.ids = batch.ids.data() + begin;
    b.positionIds = batch.positionIds.data() + begin;
    b.row = batch.row.data() + begin;
    b.slot = b.row;  // a row writes the slot of its own number
    b.position = batch.position.data() + begin;
    b.length = batch.length.data() + begin;
    b.crossSlot = batch.crossSlot.data() + begin;
    b.crossLength = batch.crossLength.data() + begin;
    b.ancestry = ancestry_.data();
    b.ancestryRows = slots();
    b.selfCache = &self_->view();
    b.crossCache = &cross_->view();
    model_.decode(hidden_.data() + begin * width, b);
  }
}

void Engine::Worker::step() {
  if (ahead_.running()) {
    if (staysAhead())
      while (ahead_.mayLaunch()) ahead_.launch();
    if (ahead_.live() > 0 && ahead_.inFlight() > 0) return follow();
    ahead_.end();
  }
  if (active_.empty()) return;
  if (!startAhead()) return stepHere();
  while (ahead_.mayLaunch()) ahead_.launch();
  follow();
}

void Engine::Worker::stepHere() {
  batch_.clear();
  for (auto& item : active_) {
    if (!item->prefilled) {
      collectPrompt(batch_, *item);
      continue;
    }
    collectLive(batch_, *item);
    ++item->position;
  }
  padBatch(batch_);
  decodeChunks(batch_);
  const int64_t rows = static_cast<int64_t>(batch_.lastToken.size());
  const float* logits = computeLogits(rows);
  chooseTokens(logits, rows);
  size_t number = 0;
  int64_t row = 0;
  for (auto& item : active_) {
    Chosen chosen;
    if (!selection_.empty()) chosen.choices = selection_.choices(number++);
    chosen.firstRow = row;
    row += item->search->liveRows();
    advance(*item, chosen);
  }
  dropReleased();
}

// Where every search is chosen by the backend and has all its rows, steps no longer need the host.
bool Engine::Worker::startAhead() {
  if (!RunAhead::possible(model_)) return false;
  for (const auto& item : active_)
    if (!item->prefilled || !RunAhead::takes(*item->search)) return false;
  batch_.clear();
  selection_.clear();
  for (const auto& item : active_) {
    collectLive(batch_, *item);
    selection_.add(*item->search);
  }
  padBatch(batch_);
  const auto rows = static_cast<size_t>(batch_.ids.size());
  const RunAhead::Memory memory{
      hidden_.reserve(rows * static_cast<size_t>(model_.spec().decoder.hiddenSize)),
      logits_.reserve(rows * static_cast<size_t>(model_.spec().decoder.vocabSize)),
      &self_->view(),
      &cross_->view(),
  };
  ahead_.start(active_, batch_, selection_, {ancestry_, slots(), paddedRows(maxBatch_)}, memory);
  return true;
}

// The steps to come would be those that the host staged: the same searches, in as many rows.
bool Engine::Worker::staysAhead() const {
  int64_t rows = 0;
  for (const auto& item : active_) rows += item->search->liveRows();
  return ahead_.live() == active_.size() && paddedRows(rows) == ahead_.rows();
}

void Engine::Worker::follow() {
  const std::span<const ops::TokenChoice> all = ahead_.read();
  for (RunAhead::Follower& follower : ahead_.followers()) {
    if (!follower.item) continue;
    Item& item = *follower.item;
    const auto choices = all.subspan(follower.firstChoice, follower.choices);
    feed(item);
    ++follower.length;
    const std::optional<decode::Step> step = advance(item, {choices, 0});
    if (step && !foreseen(item.search->rules(), choices, *step, item.search->maxRows())) follower.item = nullptr;
  }
  dropReleased();
}

// What the searches need of the logits: tokens chosen by a backend that has memory of its own, or summaries.
void Engine::Worker::chooseTokens(const float* logits, int64_t rows) {
  const int64_t vocab = model_.spec().decoder.vocabSize;
  ops::Backend& backend = model_.backend();
  bool summaries = backend.hostMemory() || !backend.selects(vocab);
  selection_.clear();
  if (!summaries) {
    for (auto& item : active_) summaries |= !selection_.add(*item->search);
    if (!selection_.empty()) selection_.run(backend, logits, vocab);
  }
  if (!summaries) return;
  summaries_.resize(static_cast<size_t>(rows));
  backend.summarize(logits, vocab, rows, vocab, summaries_.data());
}

// The hidden states of the last tokens lie side by side, unless a prompt was among the tokens.
float* Engine::Worker::computeLogits(int64_t rows) {
  const int64_t width = model_.spec().decoder.hiddenSize, vocab = model_.spec().decoder.vocabSize;
  const float* hidden = hidden_.data();
  const int64_t padded = paddedRows(rows);
  if (rows < batch_.real) {
    float* last = lastHidden_.reserve(static_cast<size_t>(padded * width));
    for (int64_t r = 0; r < rows; ++r)
      model_.backend().copy(last + r * width, hidden + batch_.lastToken[static_cast<size_t>(r)] * width,
                            static_cast<size_t>(width));
    hidden = last;
  }
  float* logits = logits_.reserve(static_cast<size_t>(padded * vocab));
  model_.head(hidden, padded, logits);
  return logits;
}

decode::Step Engine::Worker::nextStep(Item& item, const Chosen& chosen) {
  if (!chosen.choices.empty()) return item.search->advance(chosen.choices);
  const auto vocab = static_cast<int32_t>(model_.spec().decoder.vocabSize);
  float* logits = logits_.data() + chosen.firstRow * vocab;
  if (!model_.backend().hostMemory()) {
    hostLogits_.resize(static_cast<size_t>(item.search->liveRows()) * static_cast<size_t>(vocab));
    model_.backend().download(hostLogits_.data(), logits, hostLogits_.size());
    logits = hostLogits_.data();
  }
  return item.search->advance(logits, vocab, vocab, summaries_.data() + chosen.firstRow);
}

std::optional<decode::Step> Engine::Worker::advance(Item& item, const Chosen& chosen) {
  try {
    if (!item.call->failed) {
      decode::Step step = nextStep(item, chosen);
      const GenerateRequest& request = *item.call->request;
      if (request.onToken && step.emitted >= 0)
        request.onToken({item.index, step.emitted, step.emittedLogProb, step.emittedFinish});
      if (!step.done) {
        applyStep(item, step);
        return step;
      }
      finish(item);
    }
  } catch (...) {
    fail(*item.call, std::current_exception());
  }
  release(item);
  return std::nullopt;
}

void Engine::Worker::dropReleased() {
  std::erase_if(active_, [](const std::unique_ptr<Item>& item) { return item->rows.empty(); });
}

// Beam reordering moves indices, not caches: live row i takes over its parent's line of the ancestry table.
void Engine::Worker::applyStep(Item& item, const decode::Step& step) {
  const int64_t capacity = self_->capacity();
  bool moved = false;
  for (size_t i = 0; i < step.parents.size(); ++i) moved |= step.parents[i] != static_cast<int32_t>(i);
  for (size_t i = 0; moved && i < step.parents.size(); ++i) {
    const int32_t parent = item.rows[static_cast<size_t>(step.parents[i])];
    std::copy_n(ancestry_.data() + parent * capacity, item.position, ancestryScratch_.data() + item.rows[i] * capacity);
  }
  for (size_t i = 0; moved && i < step.parents.size(); ++i)
    std::copy_n(ancestryScratch_.data() + item.rows[i] * capacity, item.position,
                ancestry_.data() + item.rows[i] * capacity);
  item.pending = step.tokens;
}

}  // namespace ved::engine
