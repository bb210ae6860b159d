// A loaded model: spec, backend, weights and the programs lowered from them. Used by one thread at a time.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/trace.h"
#include "plan/lower.h"
#include "plan/micro_batch.h"

namespace ved::engine {

struct LoadOptions {
  std::string backend = "cpu";  // "cpu", "reference" or "cuda"
  int device = 0;               // of "cuda"
  ops::CpuIsa isa = ops::CpuIsa::Auto;
  int threads = 0;
  ComputeType type = ComputeType::Float32;
  int32_t maxBatch = 32;
  bool fuse = true;
};

// How an encoder run lies to decode steps: among them, or beside them where the backend has a second stream.
enum class Order { Among, Beside };

class Model {
 public:
  Model(spec::ModelSpec spec, const TensorTable& table, const LoadOptions& options,
        const std::function<bool()>& keepGoing);
  // On a backend that was made already.
  Model(spec::ModelSpec spec, const TensorTable& table, const LoadOptions& options,
        const std::function<bool()>& keepGoing, std::unique_ptr<ops::Backend> backend);

  const spec::ModelSpec& spec() const { return spec_; }
  ops::Backend& backend() { return *backend_; }
  // Whose memory and order Order::Beside has: another than backend() where they overlap.
  ops::Backend& encoderBackend() { return beside_ ? *beside_ : *backend_; }
  bool overlaps() const { return beside_ != nullptr; }
  size_t weightBytes() const { return weights_.bytes; }
  size_t workspaceBytes() const { return runner_.arenaBytes() + (besideRunner_ ? besideRunner_->arenaBytes() : 0); }

  int64_t encoderTokens(int64_t height, int64_t width) const;
  // Images that one encode() should take.
  size_t imagesPerRun(int64_t height, int64_t width);
  // Decode steps of so many images that an encoder run beside them should take.
  int64_t stepsBeside(int64_t height, int64_t width, size_t images, size_t decoded);
  // The arrays of bindings lie on the host, states, hidden states and logits in the backend's memory.
  // the pixels of `bindings` -> states [batch * encoderTokens, H]
  void encode(int64_t batch, int64_t height, int64_t width, float* states, plan::Bindings bindings,
              Order order = Order::Among);
  // states of `bindings.tokens` rows -> cross cache
  void fillCross(const float* states, const plan::Bindings& bindings, Order order = Order::Among);
  // one token per entry of the bindings -> hidden [tokens, H]
  void decode(float* hidden, plan::Bindings bindings);
  // A decode step whose arrays lie in the backend's memory, one token per row and at most `perRun` rows at a time:
  // bindings.output [rows, H], then logits [rows, V], then what `then` launches, recorded as one. `then` depends on
  // nothing but `what`.
  void step(const plan::Bindings& bindings, int64_t perRun, float* logits, std::span<const uint64_t> what,
            const std::function<void()>& then);
  // hidden [rows, H] -> logits [rows, V]
  void head(const float* hidden, int64_t rows, float* logits);
  std::string dumpPlan(const std::string& entry) const;

  std::vector<int64_t> selfWidths() const;
  std::vector<int64_t> crossWidths() const;
  ops::CacheType cacheType() const {
    return weights_.type == ComputeType::Int8 ? ops::CacheType::BFloat16 : operandElement(weights_.type);
  }
  // Rows of the position table for `ids` fed after `past` cached positions (transformers' rule of each kind).
  void positionIds(const int32_t* ids, int64_t count, int64_t past, int32_t* out) const;
  ops::PositionRule positionRule() const;  // of a single token

 private:
  // What depends on the patch grid alone.
  struct GridTables {
    plan::Grid grid;
    std::vector<float> positions;                    // [tokens of one image, width], or empty
    std::vector<plan::BiasTable> biases;             // per layer, or empty
    plan::RotaryAngles angles;                       // empty without rotary positions
    std::vector<std::vector<float>> layerPositions;  // per layer but the first, or empty
  };

  void run(const plan::Program& base, const plan::RowCounts& rows, const plan::Bindings& bindings,
           Order order = Order::Among);
  std::vector<plan::ImageProduct> encoderProducts(int64_t height, int64_t width) const;
  void forgetTables(const GridTables& tables);
  const plan::Program& placed(const plan::Program& base, const plan::RowCounts& rows);
  const GridTables& tablesFor(const plan::Grid& grid);
  std::vector<plan::Grid> grids(int64_t height, int64_t width) const;       // per stage
  plan::TokenLayout layout(const plan::Grid& grid) const;                   // of the first stage
  plan::RowCounts encoderRows(const std::vector<plan::Grid>& grids) const;  // of one image
  void bindStreams(plan::Bindings& bindings);
  const spec::PositionIds& positionSpec() const;

  std::vector<int32_t> firstOfRun_, lengthOfRun_;  // of the decode run in progress
  spec::ModelSpec spec_;
  std::unique_ptr<ops::Backend> backend_, beside_;
  plan::ModelWeights weights_;  // may lie in the backend's memory
  plan::Program encode_, cross_, decode_, head_;
  plan::Runner runner_;
  std::unique_ptr<plan::Runner> besideRunner_;
  Trace trace_;
  struct Plan {
    const plan::Program* base;
    plan::RowCounts rows;
    plan::Program program;
  };
  std::list<Plan> plans_;  // most recently used first, bounded
  std::list<GridTables> tables_;
  std::vector<plan::ResidentRun> stepRuns_;
  struct RunSize {
    int64_t height = 0, width = 0;
    size_t images = 0;
  } runSize_;  // of the images asked for last
  uint64_t serial_ = 0;
};

}  // namespace ved::engine
