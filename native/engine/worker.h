// The engine thread's own state: rows, slots, and the searches that live in them. Used by that thread only.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "engine/item.h"
#include "engine/run_ahead.h"
#include "engine/selection.h"

namespace ved::engine {

class Engine::Worker {
 public:
  Worker(Model& model, int32_t maxBatch, const std::atomic<bool>& stop);

  void submit(std::shared_ptr<GenerateRequest> request);
  void forward(ForwardRequest& request);
  bool idle() const { return pending_.empty() && active_.empty() && encoding_.empty(); }
  // One round: drop the cancelled, admit and encode at most one micro-batch, advance every live row by one token. Where
  // the backend has a second stream, an encoder run goes on beside the steps, and its searches join some rounds later.
  void round();
  void failAll(std::exception_ptr error);
  size_t cacheBytes() const;

 private:
  void dropCancelled();
  void admit();
  void arrive();
  bool waitsForImage(const Item& item) const;
  bool makeRoom(const Item& item, const std::vector<Item*>& batch);
  void reserveCaches(int64_t encoderTokens);
  int64_t slots() const;
  void encode(const std::vector<Item*>& items);
  void step();
  void stepHere();
  bool startAhead();
  bool staysAhead() const;
  void follow();
  void collectPrompt(TokenBatch& batch, Item& item);
  void collectLive(TokenBatch& batch, const Item& item);
  void feed(Item& item);
  void pushToken(TokenBatch& batch, const Item& item, int32_t row, int32_t id, int32_t positionId, int64_t position);
  void padBatch(TokenBatch& batch);
  int64_t paddedRows(int64_t rows) const;
  void decodeChunks(const TokenBatch& batch);
  float* computeLogits(int64_t rows);
  void chooseTokens(const float* logits, int64_t rows);
  // What a search goes on with: choices of the backend, or, where there are none, its rows of the logits.
  struct Chosen {
    std::span<const ops::TokenChoice> choices;
    int64_t firstRow = 0;
  };
  decode::Step nextStep(Item& item, const Chosen& chosen);
  // Empty once the search has ended, by itself or by an error; its rows are free then.
  std::optional<decode::Step> advance(Item& item, const Chosen& chosen);
  void dropReleased();
  void applyStep(Item& item, const decode::Step& step);
  void finish(Item& item);
  void release(Item& item);
  void fail(Call& call, std::exception_ptr error);

  Model& model_;
  const int32_t maxBatch_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<SlotCache> self_, cross_;
  std::vector<int32_t> ancestry_, ancestryScratch_;  // [slots(), capacity]
  std::vector<int32_t> freeRows_, freeSlots_;
  std::deque<std::unique_ptr<Item>> pending_;
  std::vector<std::unique_ptr<Item>> active_;
  // Searches whose images an encoder run beside the steps is working on. Their rows and slots are theirs already; until
  // the run is over nobody else may read those slots, and a cancelled search keeps them.
  std::vector<std::unique_ptr<Item>> encoding_;
  int64_t stepsLeft_ = 0;  // before they join
  TokenBatch batch_;
  RunPixels pixels_;
  ops::Buffer states_, hidden_, lastHidden_, logits_;
  // Of a backend whose memory is not the host's:
  Selection selection_;
  RunAhead ahead_;
  std::vector<float> hostLogits_;
  std::vector<ops::RowSummary> summaries_;
};

}  // namespace ved::engine
