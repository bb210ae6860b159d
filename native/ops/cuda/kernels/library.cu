// The exported table: probing, opening a device, memory, graphs. Nothing here may throw across the boundary.
#include <cstdio>
#include <new>

#include "ops/cuda/kernels/context.cuh"
#include "ops/cuda/kernels/cublas.cuh"
#include "ops/cuda/kernels/linear.cuh"

#ifndef VED_VERSION
#define VED_VERSION "unknown"
#endif

namespace ved::cuda {

Status report(Context& context, cudaError_t error, const char* what) {
  if (error == cudaSuccess) return kOk;
  cudaGetLastError();  // errors that can be cleared must not be reported by the next call again
  context.error = std::string(what) + ": " + cudaGetErrorName(error) + " (" + cudaGetErrorString(error) + ")";
  return error == cudaErrorMemoryAllocation ? kOutOfMemory : kFailed;
}

Status launched(Context& context, const char* what) { return report(context, cudaGetLastError(), what); }

namespace {

__global__ void probeKernel(int* out) {
  if (threadIdx.x == 0) *out = 1;
}

void probe(Probe* out) {
  *out = {};
#if defined(VED_CUDA_EMULATOR)
  out->emulated = 1;
#endif
  cudaDriverGetVersion(&out->driverVersion);
  cudaRuntimeGetVersion(&out->runtimeVersion);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  out->error = static_cast<int32_t>(error);
  out->deviceCount = error == cudaSuccess ? count : 0;  // the count is not written on an error
  if (error != cudaSuccess)
    std::snprintf(out->message, sizeof out->message, "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
}

void describeDevice(int32_t index, DeviceInfo* out) {
  *out = {};
  cudaDeviceProp p{};
  cudaError_t error = cudaGetDeviceProperties(&p, index);
  if (error == cudaSuccess) error = cudaSetDevice(index);
  if (error != cudaSuccess) {
    std::snprintf(out->reason, sizeof out->reason, "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
    cudaGetLastError();
    return;
  }
  std::snprintf(out->name, sizeof out->name, "%s", p.name);
  out->major = p.major, out->minor = p.minor, out->multiprocessors = p.multiProcessorCount;
  size_t available = 0, total = 0;
  if (cudaMemGetInfo(&available, &total) == cudaSuccess) out->memory = total, out->freeMemory = available;
  if (p.major < kMinimumMajor) {
    std::snprintf(out->reason, sizeof out->reason, "compute capability %d.%d, expected %d.0 or newer", p.major, p.minor,
                  kMinimumMajor);
    return;
  }
  cudaFuncAttributes attributes{};
  error = cudaFuncGetAttributes(&attributes, probeKernel);  // finds a library without code for this device
  if (error != cudaSuccess) {
    std::snprintf(out->reason, sizeof out->reason, "no code for compute capability %d.%d in this library (%s)", p.major,
                  p.minor, cudaGetErrorName(error));
    cudaGetLastError();
    return;
  }
  out->usable = 1;
}

void closeContext(Context* c) {
  if (!c) return;
  cudaSetDevice(c->device);
  if (c->stream) cudaStreamSynchronize(c->stream);
  c->cublas.reset();
  if (c->scratch) cudaFree(c->scratch);
  for (void* memory : c->retired) cudaFree(memory);
  if (c->stream) cudaStreamDestroy(c->stream);
  if (c->reached) cudaEventDestroy(c->reached);
  delete c;
}

enum class Urgency { Most, Least };

// Blocks of the more urgent stream are placed first where both have some to place.
Status createStream(Context& c, Urgency urgency) {
  int least = 0, most = 0;
  Status status = report(c, cudaDeviceGetStreamPriorityRange(&least, &most), "cudaDeviceGetStreamPriorityRange");
  if (status == kOk)
    status = report(
        c, cudaStreamCreateWithPriority(&c.stream, cudaStreamNonBlocking, urgency == Urgency::Most ? most : least),
        "cudaStreamCreateWithPriority");
  if (status == kOk)
    status = report(c, cudaEventCreateWithFlags(&c.reached, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return status;
}

template <Urgency urgency>
Status openContext(int32_t device, Context** out, char* message, size_t messageBytes) {
  *out = nullptr;
  auto* c = new (std::nothrow) Context;
  if (!c) return kOutOfMemory;
  c->device = device;
  Status status = report(*c, cudaSetDevice(device), "cudaSetDevice");
  if (status == kOk) status = report(*c, cudaGetDeviceProperties(&c->properties, device), "cudaGetDeviceProperties");
  if (status == kOk) status = createStream(*c, urgency);
  if (status != kOk) {
    std::snprintf(message, messageBytes, "%s", c->error.c_str());
    closeContext(c);
    return status;
  }
  *out = c;
  return kOk;
}

Status allocate(Context* c, size_t bytes, void** out) {
  *out = nullptr;
  Status status = report(*c, cudaSetDevice(c->device), "cudaSetDevice");
  if (status == kOk) status = report(*c, cudaMalloc(out, bytes ? bytes : 1), "cudaMalloc");
  if (status == kOk) status = report(*c, cudaMemsetAsync(*out, 0, bytes ? bytes : 1, c->stream), "cudaMemset");
  return status;
}

void release(Context* c, void* pointer) {
  cudaStreamSynchronize(c->stream);
  cudaFree(pointer);
}

Status allocateHost(Context* c, size_t bytes, void** out) {
  *out = nullptr;
  return report(*c, cudaMallocHost(out, bytes ? bytes : 1), "cudaMallocHost");
}

void releaseHost(Context* c, void* pointer) {
  cudaStreamSynchronize(c->stream);
  cudaFreeHost(pointer);
}

Status synchronize(Context* c) { return report(*c, cudaStreamSynchronize(c->stream), "cudaStreamSynchronize"); }

Status follow(Context* c, Context* other) {
  const Status status = report(*c, cudaEventRecord(other->reached, other->stream), "cudaEventRecord");
  return status == kOk ? report(*c, cudaStreamWaitEvent(c->stream, other->reached, 0), "cudaStreamWaitEvent") : status;
}

Status upload(Context* c, void* to, const void* from, size_t bytes) {
  return report(*c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, c->stream), "copy to the device");
}

Status download(Context* c, void* to, const void* from, size_t bytes) {
  const Status status =
      report(*c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, c->stream), "copy from the device");
  return status == kOk ? synchronize(c) : status;
}

Status copy(Context* c, void* to, const void* from, size_t bytes) {
  return report(*c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c->stream), "copy on the device");
}

Status createEvent(Context* c, void** out) {
  *out = nullptr;
  cudaEvent_t event = nullptr;
  const Status status = report(*c, cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  *out = event;
  return status;
}

void releaseEvent(Context*, void* event) { cudaEventDestroy(static_cast<cudaEvent_t>(event)); }

Status fetch(Context* c, void* to, const void* from, size_t bytes, void* event) {
  const Status status =
      report(*c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, c->stream), "copy from the device");
  if (status != kOk) return status;
  return report(*c, cudaEventRecord(static_cast<cudaEvent_t>(event), c->stream), "cudaEventRecord");
}

Status awaitEvent(Context* c, void* event) {
  return report(*c, cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "cudaEventSynchronize");
}

Status beginCapture(Context* c) {
  const Status status =
      report(*c, cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  c->capturing = status == kOk;
  return status;
}

Status endCapture(Context* c, void** out) {
  *out = nullptr;
  c->capturing = false;
  cudaGraph_t graph = nullptr;
  Status status = report(*c, cudaStreamEndCapture(c->stream, &graph), "cudaStreamEndCapture");
  if (status != kOk) return status;
  cudaGraphExec_t exec = nullptr;
  status = report(*c, cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
  cudaGraphDestroy(graph);
  *out = exec;
  return status;
}

Status launchGraph(Context* c, void* graph) {
  return report(*c, cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), c->stream), "cudaGraphLaunch");
}

void releaseGraph(Context* c, void* graph) {
  cudaStreamSynchronize(c->stream);
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

uint64_t weightBytes(ComputeType type, int64_t in, int64_t out) {
  const uint64_t outputs = static_cast<uint64_t>(out);
  if (type == ComputeType::Float32) return static_cast<uint64_t>((in + 3) / 4 * 4) * outputs * 4;
  return static_cast<uint64_t>(storedWidth(in, operandElement(type))) * outputs * 2;
}

void openCublas(Context* c, const char* file, CublasInfo* out) {
  *out = {};
  try {
    const std::string reason = Cublas::open(c, file, out->version);
    out->usable = reason.empty() ? 1 : 0;
    std::snprintf(out->reason, sizeof out->reason, "%s", reason.c_str());
  } catch (const std::exception& error) {
    std::snprintf(out->reason, sizeof out->reason, "%s", error.what());
  }
}

// An op in the table: the op itself behind a pointer, with std::bad_alloc and the like caught.
template <class Args, Status (*op)(Context&, const Args&)>
Status entry(Context* c, const Args* args) {
  try {
    return op(*c, *args);
  } catch (const std::exception& error) {
    c->error = error.what();
    return kFailed;
  }
}

const Api kApi = {
    kAbi,
    sizeof(Api),
    layoutFingerprint(),
    VED_VERSION,
    probe,
    describeDevice,
    openContext<Urgency::Most>,
    openContext<Urgency::Least>,
    closeContext,
    [](const Context* c) { return c->error.c_str(); },
    allocate,
    release,
    allocateHost,
    releaseHost,
    upload,
    download,
    copy,
    synchronize,
    createEvent,
    releaseEvent,
    fetch,
    awaitEvent,
    follow,
    beginCapture,
    endCapture,
    launchGraph,
    releaseGraph,
    openCublas,
    weightBytes,
    entry<PackBlock, packBlock>,
    entry<LinearJob, linear>,
    entry<ops::RoundArgs, round>,
    entry<ops::LayerNormArgs, layerNorm>,
    entry<ops::EncoderAttentionArgs, encoderAttention>,
    entry<ops::CachedAttentionArgs, cachedAttention>,
    entry<ops::NgramAttentionArgs, ngramAttention>,
    entry<ops::WriteCacheArgs, writeCache>,
    entry<ops::PatchesArgs, patches>,
    entry<ops::AssembleTokensArgs, assembleTokens>,
    entry<ops::EmbedTokensArgs, embedTokens>,
    entry<ops::AddBiasArgs, addBias>,
    entry<ops::ActivateArgs, activate>,
    entry<ops::AddArgs, add>,
    entry<ops::WindowAttentionArgs, windowAttention>,
    entry<ops::MergeCellsArgs, mergeCells>,
    entry<ops::ScaleColumnsArgs, scaleColumns>,
    entry<ops::RotateArgs, rotate>,
    entry<ops::TurnPairsArgs, turnPairs>,
    entry<ops::PoolTokensArgs, poolTokens>,
    entry<ops::GateArgs, gate>,
    entry<SummaryCall, summarize>,
    entry<SelectCall, selectTokens>,
    entry<ops::AdvanceArgs, advanceRows>,
    entry<PixelCall, preparePixels>,
};

}  // namespace
}  // namespace ved::cuda

#if defined(_WIN32)
#define VED_EXPORT __declspec(dllexport)
#else
#define VED_EXPORT __attribute__((visibility("default")))
#endif
extern "C" VED_EXPORT const ved::cuda::Api* ved_cuda_api(uint32_t abi) {
  return abi == ved::cuda::kAbi ? &ved::cuda::kApi : nullptr;
}
