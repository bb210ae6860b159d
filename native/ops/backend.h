// The boundary between plans and kernels. An implementation owns its threads and scratch memory; calls come from one
// thread at a time. Arguments were validated by the plan: kernels do not check them again.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/error.h"
#include "ops/advance.h"
#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/pixels.h"
#include "ops/select.h"

namespace ved::ops {

// What greedy decoding and beam search need of one row of logits, in one pass over it.
struct RowSummary {
  int32_t argmax;  // lowest index among equal maxima
  float max;
  float logSumExp;  // log sum_i exp(logits[i])
};

// An array of the caller that one run reads on the backend's side: token ids, positions, the ancestry table.
struct StagedArray {
  const void** pointer;  // a host address; afterwards one that ops can read
  size_t bytes;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;     // "reference", "cpu:avx512", ...
  virtual bool fusesEpilogues() const = 0;  // false: the plan runs the unfused op list
  virtual int threads() const = 0;
  virtual int multiprocessors() const { return 0; }  // of a device, for the size of encoder runs

  // Memory of activations and caches. It is the host's unless a backend has its own; then only these functions may
  // touch it. Constants (norms, tables) are host arrays in every backend: a device keeps copies of its own.
  virtual bool hostMemory() const { return true; }
  virtual float* allocate(size_t floats);  // zeros; throws ved::Error (OutOfMemory)
  virtual void release(float* memory) noexcept;
  virtual void upload(float* to, const float* from, size_t floats);    // from the host
  virtual void download(float* to, const float* from, size_t floats);  // to the host; complete on return
  virtual void copy(float* to, const float* from, size_t floats);
  // A download that does not wait, into a block of the backend that belongs to `lane` (0, 1, ...), and the wait for it.
  // What it returns is valid until the lane is used again.
  virtual void startDownload(int /*lane*/, const void* /*from*/, size_t /*bytes*/) { lacks("running ahead"); }
  virtual const void* finishDownload(int /*lane*/) { lacks("running ahead"); }
  virtual void forget(const float* /*constant*/) {}  // a constant that ops were given is about to be freed
  // Begins a run. Nothing to do for a backend that reads host memory.
  virtual void stage(std::span<StagedArray> /*arrays*/) {}
  // Launches everything that a run with an equal key launched before; false when there is no such recording yet. Then
  // the caller runs the ops, and calls endRecording() after them.
  virtual bool replay(std::span<const uint64_t> /*key*/) { return false; }
  virtual void endRecording() {}

  // Another backend on the same device, whose work runs beside this one's; memory and weights of either may be named by
  // both. nullptr where there is none.
  virtual std::unique_ptr<Backend> beside() { return nullptr; }
  // What is launched here from now on begins when all that `other` has launched so far is over.
  virtual void follow(Backend& /*other*/) {}
  // Returns when all that was launched here is over.
  virtual void finish() {}
  // Memory of the other backend, which recordings may name, is about to be freed.
  virtual void dropRecordings() noexcept {}

  // body(index, worker) for every index in [0, count), worker in [0, threads()), on all threads where the backend has
  // several. An exception stops the hand-out of further indices and is rethrown.
  virtual void parallelFor(int64_t count, const std::function<void(int64_t index, int worker)>& body) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
  }

  virtual std::unique_ptr<LinearWeight> makeLinear(int64_t in, int64_t out, bool hasBias,
                                                   ComputeType type = ComputeType::Float32) = 0;
  virtual const float* biasOf(const LinearWeight& weight) const = 0;  // [out], zeros where the layer has none

  // Whether embedTokens() can take rows out of a matrix made by makeLinear(), so that a tied table is held once.
  virtual bool readsRows() const { return false; }

  // How plans may store what linear maps of this type read: a 16-bit element where every op that makes such rows can
  // write it and encoder attention can read it; otherwise Float32.
  virtual Element storesOperands(ComputeType) const { return Element::Float32; }

  virtual void linear(const LinearArgs&) = 0;
  virtual void round(const RoundArgs&) { lacks("rounding to 16 bits"); }
  virtual void layerNorm(const LayerNormArgs&) = 0;
  virtual void encoderAttention(const EncoderAttentionArgs&) = 0;
  virtual void cachedAttention(const CachedAttentionArgs&) = 0;
  virtual void writeCache(const WriteCacheArgs&) = 0;
  virtual void patches(const PatchesArgs&) = 0;
  virtual void assembleTokens(const AssembleTokensArgs&) = 0;
  virtual void embedTokens(const EmbedTokensArgs&) = 0;
  virtual void addBias(const AddBiasArgs&) = 0;
  virtual void activate(const ActivateArgs&) = 0;
  virtual void add(const AddArgs&) = 0;
  // What only some models need; a backend without it refuses to run them.
  virtual void windowAttention(const WindowAttentionArgs&) { lacks("window attention"); }
  virtual void mergeCells(const MergeCellsArgs&) { lacks("patch merging"); }
  virtual void scaleColumns(const ScaleColumnsArgs&) { lacks("layer scale"); }
  virtual void poolTokens(const PoolTokensArgs&) { lacks("pooled tokens"); }
  virtual void addPositions(const AddPositionsArgs&) { lacks("positions between layers"); }
  virtual void rotate(const RotateArgs&) { lacks("rotary positions"); }
  virtual void ngramAttention(const NgramAttentionArgs&) { lacks("n-gram streams"); }
  virtual void turnPairs(const TurnPairsArgs&) { lacks("rotary positions of text"); }
  virtual void gate(const GateArgs&) { lacks("gated perceptrons"); }
  // rows of logits [rows, vocab], row stride ld -> one summary each
  virtual void summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, RowSummary* out) = 0;
  // Whether selectTokens() takes rows of so many logits. Backends whose memory is the host's need not have it.
  virtual bool selects(int64_t /*vocab*/) const { return false; }
  virtual void selectTokens(const SelectArgs&) { lacks("selection of tokens"); }
  // The same where all arrays, the choices too, lie in the backend's memory; groups of no rows are passed over.
  virtual void selectInPlace(const SelectArgs&, const SelectDemand&) { lacks("selection of tokens"); }
  virtual void advanceRows(const AdvanceArgs&) { lacks("running ahead"); }
  // Whether preparePixels() is there. Backends whose memory is the host's need not have it: native/image does the same.
  virtual bool preparesPixels() const { return false; }
  virtual void preparePixels(const PreparePixelsArgs&) { lacks("preparation of images"); }

 protected:
  [[noreturn]] void lacks(const char* what) const {
    throw Error(ErrorKind::Unsupported, "UNSUPPORTED_OP", "the backend " + name() + " has no " + what);
  }
};

// Scalar, double accumulation, one thread: slow and obviously right. The oracle of every other implementation.
std::unique_ptr<Backend> makeReferenceBackend();

enum class CpuIsa { Auto, Scalar, Avx2, Avx512, Neon };
// What a processor may have beyond its instruction set: VNNI and BF16 of AVX-512, AMX, AVX-VNNI, dot products of NEON.
// None: the kernels of processors without them, for tests and measurements.
enum class CpuExtensions { Detected, None };
// threads 0: chosen from the machine. Throws ved::Error (Unsupported) when the ISA is not available here.
std::unique_ptr<Backend> makeCpuBackend(CpuIsa isa, int threads, CpuExtensions extensions = CpuExtensions::Detected);
// Opens a CUDA device through the CUDA library. Throws ved::Error (Device) with the reason when it cannot be used.
std::unique_ptr<Backend> makeCudaBackend(int device);
// Those this machine and this build can run, best first; Scalar is always there.
bool cpuIsaAvailable(CpuIsa isa);
CpuIsa bestCpuIsa();
const char* cpuIsaName(CpuIsa isa);
const char* cpuKernelsName(CpuIsa isa);  // with the matrix unit where one is used: "avx512+amx"

}  // namespace ved::ops
