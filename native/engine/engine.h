// One engine thread per model. Requests are admitted to free rows between steps, encoder micro-batches and decode steps
// alternate, finished rows leave at once. generate(), stream() and forward() are clients of the same thread.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "decode/search.h"
#include "engine/cache.h"
#include "engine/model.h"
#include "engine/pixels.h"

namespace ved::engine {

struct TokenEvent {
  int32_t row = 0;  // image index * sequences per image + sequence
  int32_t token = -1;
  float logProb = 0;
  decode::FinishReason finish = decode::FinishReason::None;
};

struct GenerateResult {
  std::vector<decode::Sequence> sequences;
  // per search: [steps][rows * vocab]; empty without outputScores
  std::vector<std::vector<std::vector<float>>> scores;
};

struct GenerateRequest {
  uint32_t id = 0;
  Pixels pixels;
  std::vector<std::vector<int32_t>> prompts;  // one per image
  decode::Options options;
  int32_t searchesPerImage = 1;  // sampling: numReturnSequences independent searches
  // User callbacks are bound per search: index = image * searchesPerImage + search.
  std::function<void(decode::Options&, int32_t search)> bindCallbacks;
  std::function<void(const TokenEvent&)> onToken;  // empty unless streaming
  std::function<void(GenerateResult)> onDone;
  std::function<void(std::exception_ptr)> onError;
  std::atomic<bool> cancelled{false};
};

struct ForwardResult {
  int64_t batch = 0, encoderTokens = 0, steps = 0;
  std::vector<float> logits;  // [batch, steps, V]
  double loss = 0;            // with labels: mean cross-entropy, NaN when every label is ignored
  std::vector<float> states;  // [batch, encoderTokens, H]
  std::vector<plan::TappedState> encoderHidden, decoderHidden;
  int64_t attentionSteps = 0;                       // steps, or with predicting streams those of every stream
  std::vector<std::vector<float>> crossAttentions;  // per layer [batch, heads, attentionSteps, encoderTokens]
};

struct ForwardRequest {
  uint32_t id = 0;
  Pixels pixels;              // or states
  std::vector<float> states;  // [batch, encoderTokens, H]
  int64_t batch = 0, encoderTokens = 0;
  std::vector<std::vector<int32_t>> ids;     // one per row, equal lengths
  std::vector<std::vector<uint8_t>> mask;    // empty or one per row
  std::vector<std::vector<int32_t>> labels;  // empty or one per row; -100 is ignored
  bool hiddenStates = false, attentions = false;
  std::function<void(ForwardResult)> onDone;
  std::function<void(std::exception_ptr)> onError;
  std::atomic<bool> cancelled{false};
};

struct Memory {
  size_t weights = 0, cache = 0, workspace = 0;
};

class Engine {
 public:
  struct Ready {
    std::string backend;
    int threads = 0;
    bool preparesPixels = false;  // takes images whose pixel values are still to be computed
  };
  // The model is loaded on the engine's own thread; onReady or onError is called once from there.
  Engine(spec::ModelSpec spec, TensorTable table, LoadOptions options, std::function<void(Ready)> onReady,
         std::function<void(std::exception_ptr)> onError);
  // Stops at the next op, rejects everything still queued with ABORTED through onError, and joins.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void generate(std::shared_ptr<GenerateRequest> request);
  void forward(std::shared_ptr<ForwardRequest> request);
  void wake();  // after setting `cancelled` on a request
  void requestStop();
  bool stopping() const { return stop_.load(); }
  Memory memory() const;  // `weights`: packed ones and owned masters
  // Elements [first, first + count) of the owned tensor `buffer`. Throws ved::Error (Option) outside of it.
  std::vector<float> readOwned(int64_t buffer, int64_t first, int64_t count) const;
  std::string dumpPlan(const std::string& entry) const;

  class Worker;  // what the thread runs

 private:
  size_t drawCreated(TensorTable& table);  // bytes of what was drawn
  void main(spec::ModelSpec spec, TensorTable table, std::function<void(Ready)> onReady,
            std::function<void(std::exception_ptr)> onError);

  LoadOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<GenerateRequest>> generates_;
  std::deque<std::shared_ptr<ForwardRequest>> forwards_;
  std::atomic<bool> stop_{false};
  Memory memory_;
  std::shared_ptr<const OwnedTensors> owned_;  // set while loading
  std::string plans_[4];
  std::thread thread_;  // last: starts when everything else exists
};

}  // namespace ved::engine
