// What the worker holds of a call: its searches with their rows, and the tokens that one decoder run gets.
#pragma once
#include <memory>
#include <vector>

#include "engine/engine.h"

namespace ved::engine {

constexpr int64_t kTokensPerRun = 256;  // of the decoder; longer prefills are split

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

}  // namespace ved::engine
