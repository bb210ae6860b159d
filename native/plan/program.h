// A program is a flat list of primitive ops over named buffers: what a model spec is lowered to. Fusion rewrites the
// list, placement gives every buffer its place in one arena, and run() walks it. Everything that can be decided before
// the first launch is decided here.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ops/backend.h"
#include "ops/buffer.h"
#include "plan/weights.h"

namespace ved::plan {

enum class OpKind : uint8_t {
  Patches,         // pixels -> in-order patches
  AssembleTokens,  // prefix tokens, patches and suffix tokens, + positions
  AddPositions,    // of a layer, in place
  EmbedTokens,     // ids -> rows; fused form: positions added
  EmbedPositions,  // position ids -> rows
  EmbedStreams,    // position ids -> rows of the predicting streams
  TakeStream,      // rows of the first predicting stream
  Linear,          // fused form: bias, activation and residual inside
  AddBias,
  Activate,
  Add,  // out += in
  LayerNorm,
  Scale,      // by column
  Gate,       // act(first half) * second half
  Rotate,     // queries and keys of patches, in place
  TurnPairs,  // queries, keys and perhaps values of tokens, in place
  EncoderAttention,
  WindowAttention,
  PoolTokens,       // the largest of tokens a fixed distance apart
  MergeCells,       // four cells of a stage's map -> one of the next
  WriteSelfCache,   // k, v of the qkv buffer -> self cache
  WriteCrossCache,  // k, v of the kv buffer -> cross cache
  SelfAttention,
  NgramAttention,
  CrossAttention,
  Round,  // a copy in 16 bits
  Tap,    // hands a copy of a buffer to the caller, when the caller asked for hidden states
};

// Rows of a buffer: one per token (of an encoder's first stage), per patch, or per cell of a later stage's map.
enum class RowKind : uint8_t { Token, Patch, Stage1 };
inline RowKind rowsOfStage(size_t stage) {
  return stage == 0 ? RowKind::Token : static_cast<RowKind>(static_cast<size_t>(RowKind::Stage1) + stage - 1);
}
using RowCounts = std::vector<int64_t>;  // by RowKind

struct Grid {
  int64_t height = 0, width = 0;
  int64_t cells() const { return height * width; }
};

struct Value {
  std::string name;
  int64_t width = 0;
  RowKind rows = RowKind::Token;
  int64_t offset = -1;  // floats into the arena; -1: bound by the caller
  bool external = false;
  Element element = Element::Float32;
};

struct Op {
  OpKind kind = OpKind::Linear;
  int in = -1;
  int out = -1;
  const ops::LinearWeight* weight = nullptr;
  const NormWeights* norm = nullptr;
  bool useBias = false;
  bool usePositions = false;  // fused EmbedPositions
  Activation activation = Activation::Identity;
  int residual = -1;  // fused Add
  int relative = -1;  // NgramAttention
  int rounded = -1;   // LayerNorm: the same result in 16 bits; `out` may be -1 then
  int layer = -1;
  int64_t heads = 0, headDim = 0;
  float scale = 1;
  const float* factors = nullptr;                     // Scale
  const spec::WindowSpan* window = nullptr;           // WindowAttention
  const EncoderLayerWeights* encoderLayer = nullptr;  // WindowAttention
  size_t stage = 0;                                   // WindowAttention, MergeCells: of the input
  int64_t unitTokens = 0;                             // EncoderAttention: 0 for all tokens of an image
  int64_t pool = 1;                                   // EncoderAttention, PoolTokens
};

struct Program {
  std::string name;
  std::vector<Value> values;
  std::vector<Op> ops;
  int64_t arenaFloats = 0;  // after place()
  uint64_t serial = 0;      // of a placed program, never used twice by one model
  int input = -1;           // bound by the caller where the program reads states
  int output = -1;          // bound by the caller
};

// A copy of a buffer in the middle of a program.
struct TappedState {
  std::vector<float> data;
  int64_t width = 0;
};

// Self-attention cache of one engine: [layer][slot, head, capacity, headDim], in the backend's memory.
struct CacheView {
  std::vector<void*> keys, values;  // one per layer
  ops::CacheType type = ops::CacheType::Float32;
  int64_t capacity = 0;  // positions per (slot, head)
};

// With predicting streams a decode run has one block of rows for the tokens and one for each stream, and `rows` says
// so. Everything a run needs that is not known when the program is made. Arrays are per token unless said otherwise,
// and on the host; `input`, `output` and the caches are memory of the backend.
struct Bindings {
  int64_t tokens = 0;
  int64_t streams = 0;                  // predicting streams that run beside the tokens' own
  const int32_t* firstOfRun = nullptr;  // with streams: the tokens of one sequence that run together
  const int32_t* lengthOfRun = nullptr;
  RowCounts rows;                                                   // by RowKind; empty: tokens only
  int64_t batch = 0;                                                // encoder: images
  int64_t height = 0, width = 0;                                    // encoder: pixels
  std::vector<Grid> grids;                                          // encoder: per stage
  const float* pixels = nullptr;                                    // encoder
  bool pixelsInPlace = false;                                       // they lie in the backend's memory
  const float* positions = nullptr;                                 // encoder: [tokensPerImage, H], or nullptr
  const std::vector<BiasTable>* biases = nullptr;                   // encoder: per layer, or nullptr
  const std::vector<std::vector<float>>* layerPositions = nullptr;  // encoder: per layer but the first, or nullptr
  const RotaryAngles* angles = nullptr;                             // encoder: with rotary positions
  const float* input = nullptr;
  float* output = nullptr;
  const int32_t* ids = nullptr;
  const int32_t* positionIds = nullptr;
  const int32_t* row = nullptr;       // row of the ancestry table
  const int32_t* slot = nullptr;      // slot written by this token
  const int32_t* position = nullptr;  // position written
  const int32_t* length = nullptr;    // visible positions
  const int32_t* ancestry = nullptr;  // [ancestryRows, selfCache.capacity]
  int64_t ancestryRows = 0;
  const uint8_t* const* masks = nullptr;  // optional, per token
  const int32_t* crossSlot = nullptr;
  const int32_t* crossLength = nullptr;
  const int32_t* crossPosition = nullptr;  // WriteCrossCache: position of each state row
  CacheView* selfCache = nullptr;
  CacheView* crossCache = nullptr;
  std::vector<TappedState>* taps = nullptr;                       // one entry per Tap op is appended
  std::vector<std::vector<float>>* crossProbabilities = nullptr;  // per layer [rows, heads, crossCache.capacity]
  const std::atomic<bool>* stop = nullptr;                        // polled between ops; run() throws ABORTED
};

// Of the tokens of a decoder run so many, from `first` on; nothing else is changed.
Bindings tokensFrom(const Bindings& bindings, int64_t first, int64_t count);

// A run whose arrays lie in the backend's memory.
struct ResidentRun {
  const Program* program;
  Bindings bindings;
};

// Whether an op reads a value; those that work in place read what they overwrite.
bool reads(const Op& op, int value);
// Linear + AddBias + Activate + Add become one op where nobody reads the intermediate value in between.
void fuse(Program& program);
// Stores in 16 bits what only linear maps and encoder attention of that operand element read, and gives linear maps
// whose input has to stay float32 a rounded copy. After fuse().
void storeOperands(Program& program, Element element);
// Places all buffers for at most so many rows of each kind; buffers whose lives do not overlap share memory.
void place(Program& program, const RowCounts& rows);
std::string dump(const Program& program);

class Runner {
 public:
  Runner(ops::Backend& backend, const spec::ModelSpec& spec, const ModelWeights& weights)
      : backend_(backend), spec_(spec), weights_(weights), arena_(backend) {}
  // Runs a placed program. The arena grows to what the program needs and is kept.
  void run(const Program& program, const Bindings& bindings);
  // Runs one after the other, then what `then` launches, as one recording. Nothing is staged. `what`: all that `then`
  // depends on.
  void runResident(std::span<const ResidentRun> runs, std::span<const uint64_t> what,
                   const std::function<void()>& then);
  size_t arenaBytes() const { return arena_.size() * sizeof(float); }

 private:
  void executeAll(const Program& program, const Bindings& b);
  void execute(const Program& program, const Op& op, const Bindings& b);
  void executeNorm(const Program& program, const Op& op, const Bindings& b);
  void executeWindow(const Program& program, const Op& op, const Bindings& b);
  void stage(Bindings& b);
  void addKey(const Program& program, const Bindings& b);
  void executeAttention(const Program& program, const Op& op, const Bindings& b);
  void executeNgram(const Program& program, const Op& op, const Bindings& b);
  void embedStreams(float* x, int64_t width, const Bindings& b);
  float* at(const Program& program, int value, const Bindings& b);
  int64_t rows(const Program& program, int value, const Bindings& b) const;
  const int32_t* positionRows(const Bindings& b) const;

  ops::Backend& backend_;
  const spec::ModelSpec& spec_;
  const ModelWeights& weights_;
  ops::Buffer arena_;
  std::vector<uint64_t> key_;  // of a recording
};

}  // namespace ved::plan
