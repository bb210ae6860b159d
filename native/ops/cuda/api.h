// The C boundary between the core and the CUDA library (ved_cuda), which is a separate shared object and opened on
// demand. Plain structs and pointers only; no exception crosses. Both sides are built from the same sources: `layout`
// is a fingerprint of every struct, so a library of another build is refused instead of misread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/advance.h"
#include "ops/attention.h"
#include "ops/backend.h"
#include "ops/cuda/product.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/pixels.h"
#include "ops/select.h"

namespace ved::cuda {

constexpr uint32_t kAbi = 1;
constexpr int kMinimumMajor = 8;              // compute capability 8.0
constexpr int kMinimumDriver = 13000;         // what CUDA 13 binaries ask of the driver (r580)
constexpr int64_t kMaxHeadDim = 256;          // of both attention kernels
constexpr int64_t kMaxSelectVocab = 1 << 18;  // of which a block holds one bit each
constexpr int64_t kMaxHeadDim16 = 128;        // of encoder and window attention on tensor cores

// Encoder and window attention in 16 bits; larger heads stay in float32.
constexpr bool usesTensorCores(ComputeType type, int64_t headDim) {
  return (type == ComputeType::BFloat16 || type == ComputeType::Float16) && headDim <= kMaxHeadDim16;
}

enum Status : int { kOk = 0, kFailed = 1, kOutOfMemory = 2 };

struct Probe {
  int32_t driverVersion;   // 0: no NVIDIA driver
  int32_t runtimeVersion;  // of the library
  int32_t deviceCount;     // 0 on any error
  int32_t error;           // cudaError_t of the device count
  int32_t emulated;        // 1: the host emulator of the tests
  char message[256];       // its name and text
};

struct DeviceInfo {
  char name[256];
  int32_t major, minor, multiprocessors;
  uint64_t memory, freeMemory;
  int32_t usable;
  char reason[256];  // why not
};

// What came of opening a cuBLASLt library.
struct CublasInfo {
  int32_t usable;
  int32_t version;    // major * 10000 + minor * 100 + patch, 0 where it could not be asked
  char reason[1024];  // why not usable
};

struct Context;

// A packed weight on the device. Float32: [ceil(in / 4)][out][4]; 16 bits: [out][in rounded up to 8], zeros behind the
// last input. The type is that of both factors; sums, statistics and the residual stream are float32.
struct Weight {
  int64_t in, out;
  ComputeType type;
  void* data;
  float* bias;  // [out]
  uint64_t bytes;
};

struct LinearCall {
  Weight weight;
  const void* x;  // of xElement: Float32 or the weight's type
  int64_t ldx;
  void* y;  // of yElement
  int64_t ldy;
  int64_t rows;
  const float* residual;
  int64_t ldr;
  int32_t useBias;
  int32_t activation;
  Element xElement, yElement;
};

// What kernels do not see of a product.
struct LinearJob {
  LinearCall call;
  const void* roundedBias;  // the bias in 16 bits, for cuBLAS; nullptr in float32
  Products products;        // ignored in float32
};

struct PackBlock {
  Weight weight;
  int64_t outBegin, outCount, inBegin, inCount;
  const float* source;  // on the device
  int64_t outStride, inStride;
};

struct SummaryCall {
  const float* logits;
  int64_t ld, rows, vocab;
  ops::RowSummary* out;  // on the device
};

struct SelectCall {
  const float* logits;
  int64_t ld, rows, vocab;
  const ops::RowSummary* summaries;
  const ops::SelectRow* rowInfo;
  const ops::SelectGroup* groups;
  int64_t groupCount;
  const int32_t* rules;
  const int32_t* ids;  // [lines, capacity]
  int64_t capacity;
  int64_t bestRows, drawnRows;
  int64_t maxKeep;           // largest `keep` of the groups
  float* processed;          // [rows, vocab], where any row's rules edit scores
  ops::TokenChoice* ranked;  // [rows, maxKeep]
  int32_t* counts;           // [rows]
  ops::TokenChoice* out;
};

// One image on its way to pixel values. Pass i reads the source, or what pass i - 1 left, and writes areas[i % 2].
struct PixelJob {
  const uint8_t* source;
  uint8_t* areas[2];
  const PixelPass* passes;
  const int32_t* words;
  const float* levels;
  float* planes;
  PixelView view;
  int32_t passCount, channels, width, height;
};

// One pass of all images that have so many, or, with kPlanes, the values of all.
constexpr int32_t kPlanes = -1;
struct PixelCall {
  const PixelJob* jobs;
  int64_t images;
  int64_t outputs;  // of the image that has most
  int32_t pass;
};

// Every pointer inside the argument structs is a device pointer. All work goes to the context's one stream, in order;
// streams of two contexts know nothing of each other but by follow().
struct Api {
  uint32_t abi, size;
  uint64_t layout;
  const char* version;  // of the package

  void (*probe)(Probe* out);
  void (*device)(int32_t index, DeviceInfo* out);
  Status (*open)(int32_t device, Context** out, char* message, size_t messageBytes);
  // A second context of the device, whose work gives way to that of the first.
  Status (*openBeside)(int32_t device, Context** out, char* message, size_t messageBytes);
  void (*close)(Context* context);
  const char* (*lastError)(const Context* context);

  Status (*allocate)(Context* context, size_t bytes, void** out);  // zeroed
  void (*release)(Context* context, void* pointer);
  Status (*allocateHost)(Context* context, size_t bytes, void** out);  // page-locked
  void (*releaseHost)(Context* context, void* pointer);
  Status (*upload)(Context* context, void* to, const void* from, size_t bytes);
  Status (*download)(Context* context, void* to, const void* from, size_t bytes);  // waits for the stream
  Status (*copy)(Context* context, void* to, const void* from, size_t bytes);
  Status (*synchronize)(Context* context);
  // A download into page-locked memory that does not wait; the event tells when it is complete.
  Status (*createEvent)(Context* context, void** out);
  void (*releaseEvent)(Context* context, void* event);
  Status (*fetch)(Context* context, void* to, const void* from, size_t bytes, void* event);
  Status (*awaitEvent)(Context* context, void* event);
  // What is launched from now on waits for all that `other` has launched so far.
  Status (*follow)(Context* context, Context* other);

  // Everything launched in between is recorded instead of run; end() returns a graph that launch() replays.
  Status (*beginCapture)(Context* context);
  Status (*endCapture)(Context* context, void** graph);
  Status (*launchGraph)(Context* context, void* graph);
  void (*releaseGraph)(Context* context, void* graph);

  // Opens a cuBLASLt library: for the products of a context, or, with nullptr, only to see whether it can be used. A
  // context that has one keeps it.
  void (*openCublas)(Context* context, const char* file, CublasInfo* out);

  uint64_t (*weightBytes)(ComputeType type, int64_t in, int64_t out);
  Status (*packBlock)(Context* context, const PackBlock* call);
  Status (*linear)(Context* context, const LinearJob* job);
  Status (*round)(Context* context, const ops::RoundArgs* args);
  Status (*layerNorm)(Context* context, const ops::LayerNormArgs* args);
  Status (*encoderAttention)(Context* context, const ops::EncoderAttentionArgs* args);
  Status (*cachedAttention)(Context* context, const ops::CachedAttentionArgs* args);
  Status (*ngramAttention)(Context* context, const ops::NgramAttentionArgs* args);
  Status (*writeCache)(Context* context, const ops::WriteCacheArgs* args);
  Status (*patches)(Context* context, const ops::PatchesArgs* args);
  Status (*assembleTokens)(Context* context, const ops::AssembleTokensArgs* args);
  Status (*embedTokens)(Context* context, const ops::EmbedTokensArgs* args);
  Status (*addBias)(Context* context, const ops::AddBiasArgs* args);
  Status (*activate)(Context* context, const ops::ActivateArgs* args);
  Status (*add)(Context* context, const ops::AddArgs* args);
  Status (*windowAttention)(Context* context, const ops::WindowAttentionArgs* args);
  Status (*mergeCells)(Context* context, const ops::MergeCellsArgs* args);
  Status (*scaleColumns)(Context* context, const ops::ScaleColumnsArgs* args);
  Status (*rotate)(Context* context, const ops::RotateArgs* args);
  Status (*turnPairs)(Context* context, const ops::TurnPairsArgs* args);
  Status (*poolTokens)(Context* context, const ops::PoolTokensArgs* args);
  Status (*gate)(Context* context, const ops::GateArgs* args);
  Status (*summarize)(Context* context, const SummaryCall* call);
  Status (*selectTokens)(Context* context, const SelectCall* call);
  Status (*advanceRows)(Context* context, const ops::AdvanceArgs* args);
  Status (*preparePixels)(Context* context, const PixelCall* call);
};

constexpr uint64_t mixLayout(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x100000001B3ull; }

constexpr uint64_t layoutFingerprint() {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const uint64_t size : {sizeof(Api),
                              sizeof(Probe),
                              sizeof(DeviceInfo),
                              sizeof(CublasInfo),
                              sizeof(Weight),
                              sizeof(LinearCall),
                              sizeof(LinearJob),
                              sizeof(PackBlock),
                              sizeof(SummaryCall),
                              sizeof(SelectCall),
                              sizeof(PixelJob),
                              sizeof(PixelCall),
                              sizeof(PixelPass),
                              sizeof(ops::SelectRules),
                              sizeof(ops::SelectRow),
                              sizeof(ops::TokenChoice),
                              sizeof(ops::AdvanceArgs),
                              sizeof(ops::RoundArgs),
                              sizeof(ops::LayerNormArgs),
                              sizeof(ops::EncoderAttentionArgs),
                              sizeof(ops::CachedAttentionArgs),
                              sizeof(ops::NgramAttentionArgs),
                              sizeof(ops::WriteCacheArgs),
                              sizeof(ops::PatchesArgs),
                              sizeof(ops::AssembleTokensArgs),
                              sizeof(ops::EmbedTokensArgs),
                              sizeof(ops::AddBiasArgs),
                              sizeof(ops::ActivateArgs),
                              sizeof(ops::AddArgs),
                              sizeof(ops::WindowAttentionArgs),
                              sizeof(ops::MergeCellsArgs),
                              sizeof(ops::ScaleColumnsArgs),
                              sizeof(ops::PoolTokensArgs),
                              sizeof(ops::GateArgs),
                              sizeof(ops::RotateArgs),
                              sizeof(ops::TurnPairsArgs),
                              sizeof(ops::RelativeBias),
                              sizeof(ops::RowSummary)})
    hash = mixLayout(hash, size);
  return hash;
}

// The library's only exported symbol. nullptr when it does not speak this ABI.
using GetApi = const Api* (*)(uint32_t abi);
constexpr const char* kEntry = "ved_cuda_api";

}  // namespace ved::cuda
