// The state of one opened device inside the library, and how host code launches kernels on it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ops/cuda/api.h"
#include "ops/cuda/kernels/platform.cuh"

namespace ved::cuda {

class Cublas;

struct Context {
  Context();
  ~Context();
  int device = 0;
  cudaStream_t stream = nullptr;
  cudaEvent_t reached = nullptr;  // what was launched when another context began to follow this one
  cudaDeviceProp properties{};
  std::string error;
  void* scratch = nullptr;  // 16-bit operands of the product in progress
  size_t scratchBytes = 0;
  std::vector<void*> retired;  // smaller scratch memory, which recordings may still name
  bool capturing = false;
  std::unique_ptr<Cublas> cublas;  // nullptr: own kernels alone
};

// Turns a runtime error into a status, keeping its text.
Status report(Context& context, cudaError_t error, const char* what);
// What the launches since the last call came to.
Status launched(Context& context, const char* what);

// A call that no kernel here can serve.
inline Status rejected(Context& context, const char* why) {
  context.error = why;
  return kFailed;
}

inline unsigned blocksFor(int64_t items, int64_t perBlock) {
  return static_cast<unsigned>((items + perBlock - 1) / perBlock);
}

// One function per op, each in the file of its kernels.
Status packBlock(Context&, const PackBlock&);
Status linear(Context&, const LinearJob&);
Status round(Context&, const ops::RoundArgs&);
Status layerNorm(Context&, const ops::LayerNormArgs&);
Status encoderAttention(Context&, const ops::EncoderAttentionArgs&);
Status cachedAttention(Context&, const ops::CachedAttentionArgs&);
Status ngramAttention(Context&, const ops::NgramAttentionArgs&);
Status writeCache(Context&, const ops::WriteCacheArgs&);
Status patches(Context&, const ops::PatchesArgs&);
Status assembleTokens(Context&, const ops::AssembleTokensArgs&);
Status embedTokens(Context&, const ops::EmbedTokensArgs&);
Status addBias(Context&, const ops::AddBiasArgs&);
Status activate(Context&, const ops::ActivateArgs&);
Status add(Context&, const ops::AddArgs&);
Status windowAttention(Context&, const ops::WindowAttentionArgs&);
Status mergeCells(Context&, const ops::MergeCellsArgs&);
Status scaleColumns(Context&, const ops::ScaleColumnsArgs&);
Status rotate(Context&, const ops::RotateArgs&);
Status turnPairs(Context&, const ops::TurnPairsArgs&);
Status poolTokens(Context&, const ops::PoolTokensArgs&);
Status gate(Context&, const ops::GateArgs&);
Status summarize(Context&, const SummaryCall&);
Status selectTokens(Context&, const SelectCall&);
Status advanceRows(Context&, const ops::AdvanceArgs&);
Status preparePixels(Context&, const PixelCall&);

}  // namespace ved::cuda
