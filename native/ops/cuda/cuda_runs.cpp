// Runs of the CUDA backend: recorded and replayed, and those of a second stream.
#include <algorithm>

#include "ops/cuda/cublas_search.h"
#include "ops/cuda/cuda_backend.h"

namespace ved::cuda {

namespace {

constexpr size_t kGraphLimit = 64;  // recordings kept: one per (program, number of rows)

}  // namespace

// --- two streams ----------------------------------------------------------------------------------------------------

// Everything that work in progress uses is the context's or this object's own: stream, scratch memory, workspace of
// cuBLAS, staging memory, recordings.
std::unique_ptr<ops::Backend> CudaBackend::beside() {
  if (environmentVariable("VED_CUDA_STREAMS") == "1") return nullptr;
  const std::vector<std::string> cublas(cublas_.file.empty() ? 0 : 1, cublas_.file);
  return std::unique_ptr<CudaBackend>(new CudaBackend(api_, device_, cublas, products_, api_.openBeside));
}

void CudaBackend::follow(ops::Backend& other) {
  auto& first = static_cast<CudaBackend&>(other);
  first.abandonRecording();
  abandonRecording();
  check(api_.follow(context_, first.context_));
}

void CudaBackend::finish() {
  abandonRecording();
  check(api_.synchronize(context_));
  pinned_.inFlight = pinnedPixels_.inFlight = false;
}

// --- graphs ---------------------------------------------------------------------------------------------------------

void CudaBackend::dropGraphs() noexcept {
  for (Graph& graph : graphs_)
    if (graph.graph) api_.releaseGraph(context_, graph.graph);
  graphs_.clear();
}

// Where a run that was recorded did not come to its end.
void CudaBackend::abandonRecording() {
  if (!recording_) return;
  recording_ = false;
  void* graph = nullptr;
  if (api_.endCapture(context_, &graph) == kOk && graph) api_.releaseGraph(context_, graph);
}

// The first run of a key finds constants and scratch memory unallocated, so the second one is recorded.
bool CudaBackend::replay(std::span<const uint64_t> key) {
  abandonRecording();
  const auto found = std::find_if(graphs_.begin(), graphs_.end(), [&](const Graph& g) {
    return std::equal(g.key.begin(), g.key.end(), key.begin(), key.end());
  });
  if (found == graphs_.end()) {
    graphs_.push_front({{key.begin(), key.end()}, nullptr});
    if (graphs_.size() > kGraphLimit) {
      if (graphs_.back().graph) api_.releaseGraph(context_, graphs_.back().graph);
      graphs_.pop_back();
    }
    return false;
  }
  graphs_.splice(graphs_.begin(), graphs_, found);
  if (graphs_.front().graph) {
    check(api_.launchGraph(context_, graphs_.front().graph));
    endRun();
    return true;
  }
  check(api_.beginCapture(context_));
  recording_ = true;
  return false;
}

void CudaBackend::endRecording() {
  if (recording_) {
    recording_ = false;
    void* graph = nullptr;
    check(api_.endCapture(context_, &graph));
    graphs_.front().graph = graph;
    check(api_.launchGraph(context_, graph));
  }
  endRun();
}

void CudaBackend::endRun() {
  if (timed_) check(api_.synchronize(context_));
}

}  // namespace ved::cuda
