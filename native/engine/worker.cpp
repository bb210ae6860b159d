#include "engine/worker.h"

#include <algorithm>

#include "core/error.h"

namespace ved::engine {
namespace {

constexpr int64_t kTokensPerRun = 256;  // prompt tokens per decoder run; longer prefills are split

// A device replays a recorded run only for the same number of rows, so that those are rounded up.
constexpr int64_t kRowBuckets[] = {1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, kTokensPerRun};

bool sameSize(const Item& a, const Item& b) {
  const Pixels& p = a.call->request->pixels;
  const Pixels& q = b.call->request->pixels;
  return p.height == q.height && p.width == q.width;
}

bool sameRow(const TokenBatch& batch, int64_t token) {
  return batch.row[static_cast<size_t>(token)] == batch.row[static_cast<size_t>(token + 1)];
}

}  // namespace

void TokenBatch::clear() {
  for (auto* v : {&ids, &positionIds, &row, &position, &length, &crossSlot, &crossLength}) v->clear();
  lastToken.clear();
  real = 0;
}

Engine::Worker::Worker(Model& model, int32_t maxBatch, const std::atomic<bool>& stop)
    : model_(model),
      maxBatch_(maxBatch),
      stop_(stop),
      states_(model.backend()),
      hidden_(model.backend()),
      lastHidden_(model.backend()),
      logits_(model.backend()) {
  for (int32_t row = maxBatch; row-- > 0;) {
    freeRows_.push_back(row);
    freeSlots_.push_back(row);
  }
}

size_t Engine::Worker::cacheBytes() const { return (self_ ? self_->bytes() : 0) + (cross_ ? cross_->bytes() : 0); }

void Engine::Worker::submit(std::shared_ptr<GenerateRequest> request) {
  auto call = std::make_shared<Call>();
  call->request = request;
  const int32_t searches = request->searchesPerImage;
  call->remaining = static_cast<size_t>(request->pixels.batch * searches);
  try {
    if (request->options.numBeams > maxBatch_)
      throw Error(ErrorKind::OutOfMemory, "BEAMS_EXCEED_BATCH",
                  "expected numBeams of at most maxBatch (" + std::to_string(maxBatch_) + "), got " +
                      std::to_string(request->options.numBeams));
    reserveCaches(model_.encoderTokens(request->pixels.height, request->pixels.width));
  } catch (...) {
    fail(*call, std::current_exception());
    return;
  }
  call->result.sequences.resize(call->remaining * static_cast<size_t>(request->options.numReturnSequences));
  call->result.scores.resize(request->options.outputScores ? call->remaining : 0);
  for (int64_t image = 0; image < request->pixels.batch; ++image) {
    auto slot = std::make_shared<ImageSlot>();
    slot->index = image;
    slot->tokens = model_.encoderTokens(request->pixels.height, request->pixels.width);
    slot->users = searches;
    for (int32_t s = 0; s < searches; ++s) {
      auto item = std::make_unique<Item>();
      item->call = call;
      item->image = slot;
      item->index = static_cast<int32_t>(image) * searches + s;
      item->pending = request->prompts[static_cast<size_t>(image)];
      decode::Options options = request->options;
      options.sequenceIndex = static_cast<uint64_t>(item->index);
      if (request->bindCallbacks) request->bindCallbacks(options, item->index);
      item->search = decode::makeSearch(options, item->pending);
      pending_.push_back(std::move(item));
    }
  }
}

// Of the self-attention cache: one per row, and on a device two more that padding rows write.
int64_t Engine::Worker::slots() const { return maxBatch_ + (model_.backend().hostMemory() ? 0 : 2); }

void Engine::Worker::reserveCaches(int64_t encoderTokens) {
  if (!self_) {
    const int64_t capacity = model_.spec().decoder.maxPositions;
    self_ = std::make_unique<SlotCache>(model_.backend(), model_.selfWidths(), slots(), capacity, model_.cacheType());
    ancestry_.resize(static_cast<size_t>(slots() * capacity));
    ancestryScratch_.resize(ancestry_.size());
  }
  const bool unused = freeSlots_.size() == static_cast<size_t>(maxBatch_);
  if (!cross_ || (cross_->capacity() < encoderTokens && unused)) {
    cross_.reset();  // free the old one first
    cross_ = std::make_unique<SlotCache>(model_.backend(), model_.crossWidths(), maxBatch_, encoderTokens,
                                         model_.cacheType());
  }
}

void Engine::Worker::round() {
  dropCancelled();
  admit();
  step();
}

void Engine::Worker::dropCancelled() {
  const auto error = std::make_exception_ptr(Error(ErrorKind::Internal, "ABORTED", "the operation was aborted"));
  const auto dropped = [&](std::unique_ptr<Item>& item) {
    if (!item->call->failed && item->call->request->cancelled.load()) fail(*item->call, error);
    if (!item->call->failed) return false;
    release(*item);
    return true;
  };
  active_.erase(std::remove_if(active_.begin(), active_.end(), dropped), active_.end());
  pending_.erase(std::remove_if(pending_.begin(), pending_.end(), dropped), pending_.end());
}

bool Engine::Worker::makeRoom(const Item& item, const std::vector<Item*>& batch) {
  if (static_cast<int32_t>(freeRows_.size()) < item.search->maxRows()) return false;
  if (item.image->slot >= 0) return true;
  if (!batch.empty()) {
    const Pixels& pixels = item.call->request->pixels;
    if (!sameSize(*batch.front(), item) || batch.size() >= model_.imagesPerRun(pixels.height, pixels.width))
      return false;
  }
  if (freeSlots_.empty()) return false;
  reserveCaches(item.image->tokens);
  return cross_->capacity() >= item.image->tokens;  // a larger cache has to wait until no image uses the present one
}

// First come, first served: nobody is overtaken, so nobody starves.
void Engine::Worker::admit() {
  std::vector<Item*> batch;
  while (!pending_.empty() && makeRoom(*pending_.front(), batch)) {
    std::unique_ptr<Item> item = std::move(pending_.front());
    pending_.pop_front();
    for (int32_t i = 0; i < item->search->maxRows(); ++i) {
      item->rows.push_back(freeRows_.back());
      freeRows_.pop_back();
    }
    if (item->image->slot < 0) {
      item->image->slot = freeSlots_.back();
      freeSlots_.pop_back();
      batch.push_back(item.get());
    }
    active_.push_back(std::move(item));
  }
  if (!batch.empty()) encode(batch);
}

void Engine::Worker::encode(const std::vector<Item*>& items) {
  const Pixels& first = items.front()->call->request->pixels;
  const int64_t imageFloats = first.channels * first.height * first.width;
  const int64_t tokens = items.front()->image->tokens;
  const int64_t batch = static_cast<int64_t>(items.size());
  std::vector<float> pixels(static_cast<size_t>(batch * imageFloats));
  std::vector<int32_t> slots, positions;
  for (size_t i = 0; i < items.size(); ++i) {
    const float* source = items[i]->call->request->pixels.data.data() + items[i]->image->index * imageFloats;
    std::copy_n(source, imageFloats, pixels.data() + static_cast<int64_t>(i) * imageFloats);
    for (int64_t t = 0; t < tokens; ++t) {
      slots.push_back(items[i]->image->slot);
      positions.push_back(static_cast<int32_t>(t));
    }
  }
  states_.reserve(static_cast<size_t>(batch * tokens * model_.spec().encoder.hiddenSize));
  plan::Bindings b;
  b.stop = &stop_;
  model_.encode(pixels.data(), batch, first.height, first.width, states_.data(), b);
  b.tokens = batch * tokens;
  b.crossSlot = slots.data();
  b.crossPosition = positions.data();
  b.crossCache = &cross_->view();
  model_.fillCross(states_.data(), b);
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

void Engine::Worker::collectLive(TokenBatch& batch, Item& item) {
  for (size_t i = 0; i < item.pending.size(); ++i) {
    int32_t positionId = 0;
    model_.positionIds(&item.pending[i], 1, item.position, &positionId);
    pushToken(batch, item, item.rows[i], item.pending[i], positionId, item.position);
    batch.lastToken.push_back(static_cast<int64_t>(batch.ids.size()) - 1);
  }
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
  if (active_.empty()) return;
  batch_.clear();
  for (auto& item : active_) item->prefilled ? collectLive(batch_, *item) : collectPrompt(batch_, *item);
  padBatch(batch_);
  decodeChunks(batch_);
  const int64_t rows = static_cast<int64_t>(batch_.lastToken.size());
  const float* logits = computeLogits(rows);
  chooseTokens(logits, rows);
  size_t number = 0;
  int64_t row = 0;
  const auto finished = [&](std::unique_ptr<Item>& item) {
    const int64_t first = row;
    row += item->search->liveRows();
    return advance(*item, number++, first);
  };
  active_.erase(std::remove_if(active_.begin(), active_.end(), finished), active_.end());
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

decode::Step Engine::Worker::nextStep(Item& item, size_t number, int64_t firstRow) {
  if (!selection_.empty() && !selection_.choices(number).empty())
    return item.search->advance(selection_.choices(number));
  const auto vocab = static_cast<int32_t>(model_.spec().decoder.vocabSize);
  float* logits = logits_.data() + firstRow * vocab;
  if (!model_.backend().hostMemory()) {
    hostLogits_.resize(static_cast<size_t>(item.search->liveRows()) * static_cast<size_t>(vocab));
    model_.backend().download(hostLogits_.data(), logits, hostLogits_.size());
    logits = hostLogits_.data();
  }
  return item.search->advance(logits, vocab, vocab, summaries_.data() + firstRow);
}

bool Engine::Worker::advance(Item& item, size_t number, int64_t firstRow) {
  try {
    if (!item.call->failed) {
      const decode::Step step = nextStep(item, number, firstRow);
      const GenerateRequest& request = *item.call->request;
      if (request.onToken && step.emitted >= 0)
        request.onToken({item.index, step.emitted, step.emittedLogProb, step.emittedFinish});
      if (!step.done) {
        applyStep(item, step);
        return false;
      }
      finish(item);
    }
  } catch (...) {
    fail(*item.call, std::current_exception());
  }
  release(item);
  return true;
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

void Engine::Worker::finish(Item& item) {
  Call& call = *item.call;
  std::vector<decode::Sequence> sequences = item.search->take();
  const size_t first = static_cast<size_t>(item.index) * static_cast<size_t>(call.request->options.numReturnSequences);
  for (size_t i = 0; i < sequences.size(); ++i) call.result.sequences[first + i] = std::move(sequences[i]);
  if (call.request->options.outputScores)
    call.result.scores[static_cast<size_t>(item.index)] = item.search->takeScores();
  if (--call.remaining == 0) call.request->onDone(std::move(call.result));
}

void Engine::Worker::release(Item& item) {
  freeRows_.insert(freeRows_.end(), item.rows.begin(), item.rows.end());
  item.rows.clear();
  if (--item.image->users == 0 && item.image->slot >= 0) freeSlots_.push_back(item.image->slot);
}

void Engine::Worker::fail(Call& call, std::exception_ptr error) {
  if (call.failed) return;
  call.failed = true;
  call.request->onError(error);
}

void Engine::Worker::failAll(std::exception_ptr error) {
  for (auto& item : active_) fail(*item->call, error);
  for (auto& item : pending_) fail(*item->call, error);
  for (auto& item : active_) release(*item);
  for (auto& item : pending_) release(*item);
  active_.clear();
  pending_.clear();
}

}  // namespace ved::engine
