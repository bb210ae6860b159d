// The CUDA backend: ops of the core handed to the CUDA library. It owns the device's memory, copies of the constants,
// the block of per-run arrays and the recorded graphs.
#pragma once
#include <list>
#include <unordered_map>
#include <vector>

#include "ops/backend.h"
#include "ops/cuda/api.h"
#include "ops/cuda/loader.h"

namespace ved::cuda {

// VED_CUDA_PRODUCTS: 'own' or 'cublas' to compare the two, otherwise Chosen.
Products productsOfEnvironment();
// VED_TRACE: runs are waited for, so that their times are true.
bool timesRuns();

// Arrays that travel in one copy begin at such multiples.
inline size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

class CudaBackend final : public ops::Backend {
 public:
  // Throws ved::Error (Device) when the device cannot be opened. The first of `cublas` that can be used serves large
  // products; none has to.
  CudaBackend(const Api& api, int device, const std::vector<std::string>& cublas = {},
              Products products = Products::Chosen)
      : CudaBackend(api, device, cublas, products, api.open) {}
  ~CudaBackend() override;

  std::string name() const override { return name_; }
  bool fusesEpilogues() const override { return true; }
  int threads() const override { return 1; }
  int multiprocessors() const override { return multiprocessors_; }
  size_t graphs() const { return graphs_.size(); }
  const CublasChoice& cublas() const { return cublas_; }

  bool hostMemory() const override { return false; }
  float* allocate(size_t floats) override;
  void release(float* memory) noexcept override;
  void upload(float* to, const float* from, size_t floats) override;
  void download(float* to, const float* from, size_t floats) override;
  void copy(float* to, const float* from, size_t floats) override;
  void startDownload(int lane, const void* from, size_t bytes) override;
  const void* finishDownload(int lane) override;
  void forget(const float* constant) override;
  std::unique_ptr<ops::Backend> beside() override;
  void follow(ops::Backend& other) override;
  void finish() override;
  void dropRecordings() noexcept override { dropGraphs(); }
  void stage(std::span<ops::StagedArray> arrays) override;
  bool replay(std::span<const uint64_t> key) override;
  void endRecording() override;

  std::unique_ptr<ops::LinearWeight> makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) override;
  const float* biasOf(const ops::LinearWeight& weight) const override;  // on the device
  Element storesOperands(ComputeType type) const override { return operandElement(type); }
  void linear(const ops::LinearArgs&) override;
  void round(const ops::RoundArgs&) override;
  void layerNorm(const ops::LayerNormArgs&) override;
  void encoderAttention(const ops::EncoderAttentionArgs&) override;
  void cachedAttention(const ops::CachedAttentionArgs&) override;
  void ngramAttention(const ops::NgramAttentionArgs&) override;
  void writeCache(const ops::WriteCacheArgs&) override;
  void patches(const ops::PatchesArgs&) override;
  void assembleTokens(const ops::AssembleTokensArgs&) override;
  void embedTokens(const ops::EmbedTokensArgs&) override;
  void addBias(const ops::AddBiasArgs&) override;
  void activate(const ops::ActivateArgs&) override;
  void add(const ops::AddArgs&) override;
  void windowAttention(const ops::WindowAttentionArgs&) override;
  void mergeCells(const ops::MergeCellsArgs&) override;
  void scaleColumns(const ops::ScaleColumnsArgs&) override;
  void poolTokens(const ops::PoolTokensArgs&) override;
  void addPositions(const ops::AddPositionsArgs&) override;
  void rotate(const ops::RotateArgs&) override;
  void turnPairs(const ops::TurnPairsArgs&) override;
  void gate(const ops::GateArgs&) override;
  void summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, ops::RowSummary* out) override;
  bool selects(int64_t vocab) const override { return vocab <= kMaxSelectVocab; }
  void selectTokens(const ops::SelectArgs& args) override;
  void selectInPlace(const ops::SelectArgs& args, const ops::SelectDemand& demand) override;
  void advanceRows(const ops::AdvanceArgs& args) override;
  bool preparesPixels() const override { return true; }
  void preparePixels(const ops::PreparePixelsArgs& args) override;
  // Memory that one group of images may take, unless it is a single image. For tests.
  void limitPixelBytes(size_t bytes) { pixelBytes_ = bytes; }

 private:
  friend class CudaWeight;
  using Open = Status (*)(int32_t device, Context** out, char* message, size_t messageBytes);
  CudaBackend(const Api& api, int device, const std::vector<std::string>& cublas, Products products, Open open);
  void check(Status status) const;
  void* allocateBytes(size_t bytes);
  // A device block that grows; its contents are lost then.
  struct Block {
    void* data = nullptr;
    size_t bytes = 0;
  };
  void* grow(Block& block, size_t bytes);
  // Page-locked host memory that copies read while the host goes on.
  struct Pinned {
    void* data = nullptr;
    size_t bytes = 0;
    bool inFlight = false;
  };
  // At least so many bytes that no copy reads any more; waits for one that may.
  unsigned char* writable(Pinned& memory, size_t bytes);
  void readBack(void* to, const void* from, size_t bytes);
  // The device's copy of a host array that does not change while the model lives.
  const float* constant(const float* host, int64_t floats);
  ops::RelativeBias constant(const ops::RelativeBias& bias, int64_t heads);
  const uint8_t* const* stageMasks(const ops::CachedAttentionArgs& args);
  void prepareGroup(std::span<const ops::PixelSource> images);
  void stageSelection(const ops::SelectArgs& args, SelectCall& call);
  void launchSelection(const ops::SelectArgs& args, SelectCall& call, bool edited);
  void dropGraphs() noexcept;
  void abandonRecording();
  void endRun();

  const Api& api_;
  Context* context_ = nullptr;
  int device_;
  std::string name_;
  int multiprocessors_ = 0;
  Products products_;
  CublasChoice cublas_;
  struct Constant {
    void* data;
    int64_t floats;
  };
  std::unordered_map<const float*, Constant> constants_;
  Block staged_, upload_, masks_, summaries_;
  Block rules_, selection_, processed_, ranked_, choices_;
  uint64_t rulesSerial_ = 0;
  std::vector<unsigned char> hostSelection_;
  Block pixels_;
  size_t pixelBytes_ = size_t{256} << 20;
  Pinned pinnedPixels_;
  Pinned pinned_;                      // host twin of staged_, same offsets
  const void* stagedMasks_ = nullptr;  // host array that masks_ holds in this run
  struct Graph {
    std::vector<uint64_t> key;
    void* graph = nullptr;  // nullptr: run once, not recorded yet
  };
  std::list<Graph> graphs_;  // most recently used first, bounded
  bool recording_ = false;
  const bool timed_ = timesRuns();
  struct Lane {
    void* host = nullptr;  // page-locked
    size_t bytes = 0;
    void* event = nullptr;
  };
  std::vector<Lane> lanes_;
};

}  // namespace ved::cuda
