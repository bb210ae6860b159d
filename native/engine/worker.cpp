#include "engine/worker.h"

#include <algorithm>

#include "core/error.h"

namespace ved::engine {
namespace {

bool sameSize(const Item& a, const Item& b) {
  const Pixels& p = a.call->request->pixels;
  const Pixels& q = b.call->request->pixels;
  return p.height == q.height && p.width == q.width;
}

}  // namespace

Engine::Worker::Worker(Model& model, int32_t maxBatch, const std::atomic<bool>& stop)
    : model_(model),
      maxBatch_(maxBatch),
      stop_(stop),
      pixels_(model.encoderBackend()),
      states_(model.encoderBackend()),
      hidden_(model.backend()),
      lastHidden_(model.backend()),
      logits_(model.backend()),
      ahead_(model, stop) {
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
    model_.encoderBackend().dropRecordings();
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
  for (auto& item : encoding_)
    if (item->call->request->cancelled.load()) fail(*item->call, error);
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

// The searches of an encoder run beside the steps join after as many steps as it should take, whether it was faster or
// not: what is computed together must not depend on time. With nothing to decode they join as soon as it is over.
void Engine::Worker::arrive() {
  if (encoding_.empty() || (!active_.empty() && stepsLeft_-- > 0)) return;
  model_.encoderBackend().finish();
  for (auto& item : encoding_) {
    if (item->call->failed)
      release(*item);
    else
      active_.push_back(std::move(item));
  }
  encoding_.clear();
}

bool Engine::Worker::waitsForImage(const Item& item) const {
  return std::any_of(encoding_.begin(), encoding_.end(), [&](const auto& other) { return other->image == item.image; });
}

// First come, first served: nobody is overtaken, so nobody starves.
void Engine::Worker::admit() {
  arrive();
  const bool busy = !encoding_.empty();  // one run at a time
  std::vector<Item*> batch;
  while (!pending_.empty() && !(busy && pending_.front()->image->slot < 0) && makeRoom(*pending_.front(), batch)) {
    std::unique_ptr<Item> item = std::move(pending_.front());
    pending_.pop_front();
    for (int32_t i = 0; i < item->search->maxRows(); ++i) {
      item->rows.push_back(freeRows_.back());
      freeRows_.pop_back();
    }
    const bool fresh = item->image->slot < 0;
    if (fresh) {
      item->image->slot = freeSlots_.back();
      freeSlots_.pop_back();
      batch.push_back(item.get());
    }
    const bool later = model_.overlaps() && (fresh || waitsForImage(*item));
    (later ? encoding_ : active_).push_back(std::move(item));
  }
  if (!batch.empty()) encode(batch);
}

void Engine::Worker::encode(const std::vector<Item*>& items) {
  const Pixels& first = items.front()->call->request->pixels;
  const int64_t tokens = items.front()->image->tokens;
  const int64_t batch = static_cast<int64_t>(items.size());
  std::vector<ImageOf> images;
  std::vector<int32_t> slots, positions;
  for (const Item* item : items) {
    images.push_back({&item->call->request->pixels, item->image->index});
    for (int64_t t = 0; t < tokens; ++t) {
      slots.push_back(item->image->slot);
      positions.push_back(static_cast<int32_t>(t));
    }
  }
  if (model_.overlaps()) {
    // Steps that were launched may still read a slot that has become free; caches and weights were written there.
    model_.encoderBackend().follow(model_.backend());
    const size_t used = static_cast<size_t>(maxBatch_) - freeSlots_.size();
    stepsLeft_ = model_.stepsBeside(first.height, first.width, items.size(), used - items.size());
  }
  states_.reserve(static_cast<size_t>(batch * tokens * model_.spec().encoder.hiddenSize));
  plan::Bindings encoding;
  encoding.stop = &stop_;
  pixels_.bind(images, encoding);
  model_.encode(batch, first.height, first.width, states_.data(), encoding, Order::Beside);
  plan::Bindings b;
  b.stop = &stop_;
  b.tokens = batch * tokens;
  b.crossSlot = slots.data();
  b.crossPosition = positions.data();
  b.crossCache = &cross_->view();
  model_.fillCross(states_.data(), b, Order::Beside);
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
  ahead_.forget(item);
  if (--item.image->users == 0 && item.image->slot >= 0) freeSlots_.push_back(item.image->slot);
}

void Engine::Worker::fail(Call& call, std::exception_ptr error) {
  if (call.failed) return;
  call.failed = true;
  call.request->onError(error);
}

void Engine::Worker::failAll(std::exception_ptr error) {
  try {
    if (!encoding_.empty()) model_.encoderBackend().finish();
  } catch (...) {  // `error` says more, or the device is lost
  }
  active_.insert(active_.end(), std::make_move_iterator(encoding_.begin()), std::make_move_iterator(encoding_.end()));
  encoding_.clear();
  for (auto& item : active_) fail(*item->call, error);
  for (auto& item : pending_) fail(*item->call, error);
  for (auto& item : active_) release(*item);
  for (auto& item : pending_) release(*item);
  active_.clear();
  pending_.clear();
  ahead_.end();
}

}  // namespace ved::engine
