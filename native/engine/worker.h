// The engine thread's own state: rows, slots, and the searches that live in them. Used by that thread only.
#pragma once
#include <vector>

#include "engine/engine.h"
#include "engine/selection.h"

namespace ved::engine {

// One generate call while any of its searches is unfinished.
struct Call {
  std::shared_ptr<GenerateRequest> request;
  GenerateResult result;
  size_t remaining = 0;  // searches not finished yet
  bool failed = false;   // onError was called
};

struct ImageSlot {
  int64_t index = 0;   // image of the call
  int32_t slot = -1;   // cross cache slot, -1 before admission
  int64_t tokens = 0;  // encoder tokens
  int32_t users = 0;   // searches that still need it
};

struct Item {
  std::shared_ptr<Call> call;
  std::shared_ptr<ImageSlot> image;
  int32_t index = 0;  // image * searchesPerImage + search
  std::unique_ptr<decode::Search> search;
  std::vector<int32_t> rows;     // engine rows, search.maxRows() of them; live row i sits in rows[i]
  std::vector<int32_t> pending;  // prompt before prefill, afterwards one token per live row
  bool prefilled = false;
  int64_t position = 0;  // cached positions
};

// The tokens of one decode run, as the arrays that Bindings points into.
struct TokenBatch {
  std::vector<int32_t> ids, positionIds, row, position, length, crossSlot, crossLength;
  std::vector<int64_t> lastToken;  // per output row: index of the token whose logits are needed
  int64_t real = 0;                // tokens before the padding to a row bucket
  void clear();
};

class Engine::Worker {
 public:
  Worker(Model& model, int32_t maxBatch, const std::atomic<bool>& stop);

  void submit(std::shared_ptr<GenerateRequest> request);
  void forward(ForwardRequest& request);
  bool idle() const { return pending_.empty() && active_.empty(); }
  // One round: drop the cancelled, admit and encode at most one micro-batch, advance every live row by one token.
  void round();
  void failAll(std::exception_ptr error);
  size_t cacheBytes() const;

 private:
  void dropCancelled();
  void admit();
  bool makeRoom(const Item& item, const std::vector<Item*>& batch);
  void reserveCaches(int64_t encoderTokens);
  int64_t slots() const;
  void encode(const std::vector<Item*>& items);
  void step();
  void collect(TokenBatch& batch);
  void collectPrompt(TokenBatch& batch, Item& item);
  void collectLive(TokenBatch& batch, Item& item);
  void pushToken(TokenBatch& batch, const Item& item, int32_t row, int32_t id, int32_t positionId, int64_t position);
  void padBatch(TokenBatch& batch);
  int64_t paddedRows(int64_t rows) const;
  void decodeChunks(const TokenBatch& batch);
  float* computeLogits(int64_t rows);
  void chooseTokens(const float* logits, int64_t rows);
  decode::Step nextStep(Item& item, size_t number, int64_t firstRow);
  bool advance(Item& item, size_t number, int64_t firstRow);
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
  TokenBatch batch_;
  ops::Buffer states_, hidden_, lastHidden_, logits_;
  // Of a backend whose memory is not the host's:
  Selection selection_;
  std::vector<float> hostLogits_;
  std::vector<ops::RowSummary> summaries_;
};

}  // namespace ved::engine
