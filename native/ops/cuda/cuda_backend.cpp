#include "ops/cuda/cuda_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "ops/cuda/cublas_search.h"

namespace ved::cuda {

Products productsOfEnvironment() {
  const std::string value = environmentVariable("VED_CUDA_PRODUCTS");
  return value == "own" ? Products::Own : value == "cublas" ? Products::Library : Products::Chosen;
}

bool timesRuns() { return environmentVariable("VED_TRACE") == "1"; }

class CudaWeight final : public ops::LinearWeight {
 public:
  CudaWeight(CudaBackend& backend, int64_t inSize, int64_t outSize, bool withBias, ComputeType kind)
      : backend_(backend) {
    in = inSize, out = outSize, hasBias = withBias, type = kind;
    weight.in = in, weight.out = out, weight.type = type;
    weight.bytes = backend.api_.weightBytes(type, in, out);
    weight.data = backend.allocateBytes(weight.bytes);
    weight.bias = backend.allocate(static_cast<size_t>(out));
    if (operandElement(type) != Element::Float32)
      roundedBias = backend.allocateBytes(static_cast<size_t>(out) * sizeof(uint16_t));
  }
  ~CudaWeight() override {
    backend_.api_.release(backend_.context_, weight.data);
    if (roundedBias) backend_.api_.release(backend_.context_, roundedBias);
    backend_.release(weight.bias);
  }
  size_t bytes() const override {
    return weight.bytes + static_cast<size_t>(out) * (sizeof(float) + (roundedBias ? sizeof(uint16_t) : 0));
  }
  void setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                int64_t outStride, int64_t inStride) override {
    const size_t bytes = static_cast<size_t>((outCount - 1) * outStride + (inCount - 1) * inStride + 1) * sizeof(float);
    void* source = backend_.grow(backend_.upload_, bytes);
    backend_.check(backend_.api_.upload(backend_.context_, source, data, bytes));
    const PackBlock call{weight,    outBegin, outCount, inBegin, inCount, static_cast<const float*>(source),
                         outStride, inStride};
    backend_.check(backend_.api_.packBlock(backend_.context_, &call));
  }
  void setBias(int64_t outBegin, int64_t outCount, const float* data) override {
    backend_.upload(weight.bias + outBegin, data, static_cast<size_t>(outCount));
  }
  void seal() override {
    if (!roundedBias) return;
    const ops::RoundArgs call = {weight.bias, out, roundedBias, out, 1, out, operandElement(type)};
    backend_.check(backend_.api_.round(backend_.context_, &call));
  }

  Weight weight{};
  void* roundedBias = nullptr;

 private:
  CudaBackend& backend_;
};

CudaBackend::CudaBackend(const Api& api, int device, const std::vector<std::string>& cublas, Products products,
                         Open open)
    : api_(api), device_(device), products_(products) {
  DeviceInfo info{};
  api_.device(device, &info);
  char message[512] = "";
  const Status status = open(device, &context_, message, sizeof message);
  if (status != kOk)
    throw Error(status == kOutOfMemory ? ErrorKind::OutOfMemory : ErrorKind::Device,
                status == kOutOfMemory ? "CUDA_OUT_OF_MEMORY" : "CUDA_ERROR",
                "cuda:" + std::to_string(device) + " could not be opened: " + message);
  name_ = "cuda:" + std::to_string(device) + " (" + info.name + ")";
  multiprocessors_ = info.multiprocessors;
  if (products != Products::Own) cublas_ = chooseCublas(api_, context_, cublas);
}

CudaBackend::~CudaBackend() {
  dropGraphs();
  for (auto& [host, copy] : constants_) api_.release(context_, copy.data);
  for (Block* block :
       {&staged_, &upload_, &masks_, &summaries_, &rules_, &selection_, &processed_, &ranked_, &choices_, &pixels_})
    if (block->data) api_.release(context_, block->data);
  for (const Lane& lane : lanes_) {
    if (lane.host) api_.releaseHost(context_, lane.host);
    if (lane.event) api_.releaseEvent(context_, lane.event);
  }
  for (Pinned* memory : {&pinned_, &pinnedPixels_})
    if (memory->data) api_.releaseHost(context_, memory->data);
  api_.close(context_);
}

void CudaBackend::check(Status status) const {
  if (status == kOk) return;
  if (status == kOutOfMemory)
    throw Error(ErrorKind::OutOfMemory, "CUDA_OUT_OF_MEMORY",
                name_ + ": device memory ran out (" + api_.lastError(context_) + "); lower maxBatch");
  throw Error(ErrorKind::Device, "CUDA_ERROR", name_ + ": " + api_.lastError(context_));
}

// --- memory ---------------------------------------------------------------------------------------------------------

void* CudaBackend::allocateBytes(size_t bytes) {
  void* memory = nullptr;
  check(api_.allocate(context_, bytes, &memory));
  return memory;
}

float* CudaBackend::allocate(size_t floats) { return static_cast<float*>(allocateBytes(floats * sizeof(float))); }

// A recording may hold the address, and the next allocation may get it.
void CudaBackend::release(float* memory) noexcept {
  dropGraphs();
  api_.release(context_, memory);
}

void* CudaBackend::grow(Block& block, size_t bytes) {
  if (bytes <= block.bytes) return block.data;
  dropGraphs();
  if (block.data) api_.release(context_, block.data);
  block = {};
  block.data = allocateBytes(bytes);
  block.bytes = bytes;
  return block.data;
}

void CudaBackend::upload(float* to, const float* from, size_t floats) {
  check(api_.upload(context_, to, from, floats * sizeof(float)));
}

void CudaBackend::download(float* to, const float* from, size_t floats) { readBack(to, from, floats * sizeof(float)); }

// All that was launched before is over then.
void CudaBackend::readBack(void* to, const void* from, size_t bytes) {
  check(api_.download(context_, to, from, bytes));
  pinned_.inFlight = pinnedPixels_.inFlight = false;
}

unsigned char* CudaBackend::writable(Pinned& memory, size_t bytes) {
  if (memory.inFlight) {
    check(api_.synchronize(context_));
    pinned_.inFlight = pinnedPixels_.inFlight = false;
  }
  if (memory.bytes < bytes) {
    if (memory.data) api_.releaseHost(context_, memory.data);
    memory = {};
    check(api_.allocateHost(context_, bytes, &memory.data));
    memory.bytes = bytes;
  }
  return static_cast<unsigned char*>(memory.data);
}

void CudaBackend::copy(float* to, const float* from, size_t floats) {
  check(api_.copy(context_, to, from, floats * sizeof(float)));
}

const float* CudaBackend::constant(const float* host, int64_t floats) {
  if (!host) return nullptr;
  Constant& known = constants_[host];
  if (known.data && known.floats >= floats) return static_cast<const float*>(known.data);
  if (known.data) forget(host);
  void* memory = allocateBytes(static_cast<size_t>(floats) * sizeof(float));
  constants_[host] = {memory, floats};
  upload(static_cast<float*>(memory), host, static_cast<size_t>(floats));
  return static_cast<const float*>(memory);
}

void CudaBackend::forget(const float* host) {
  const auto found = constants_.find(host);
  if (found == constants_.end()) return;
  release(static_cast<float*>(found->second.data));
  constants_.erase(found);
}

// All arrays of a run travel in one copy through page-locked memory.
void CudaBackend::stage(std::span<ops::StagedArray> arrays) {
  stagedMasks_ = nullptr;
  size_t total = 0;
  for (const ops::StagedArray& array : arrays) total += *array.pointer ? aligned(array.bytes) : 0;
  if (total == 0) return;
  auto* device = static_cast<unsigned char*>(grow(staged_, total));
  unsigned char* host = writable(pinned_, total);
  size_t offset = 0;
  for (ops::StagedArray& array : arrays) {
    if (!*array.pointer) continue;
    std::memcpy(host + offset, *array.pointer, array.bytes);
    *array.pointer = device + offset;
    offset += aligned(array.bytes);
  }
  check(api_.upload(context_, device, host, total));
  pinned_.inFlight = true;
}

// --- ops ------------------------------------------------------------------------------------------------------------

std::unique_ptr<ops::LinearWeight> CudaBackend::makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) {
  if (type == ComputeType::Int8) lacks("int8");
  return std::make_unique<CudaWeight>(*this, in, out, hasBias, type);
}

const float* CudaBackend::biasOf(const ops::LinearWeight& weight) const {
  return static_cast<const CudaWeight&>(weight).weight.bias;
}

void CudaBackend::linear(const ops::LinearArgs& a) {
  const auto& weight = static_cast<const CudaWeight&>(*a.weight);
  LinearJob job{{}, weight.roundedBias, products_};
  LinearCall& call = job.call;
  call.weight = weight.weight;
  call.x = a.x, call.ldx = a.ldx, call.y = a.y, call.ldy = a.ldy, call.rows = a.rows;
  call.residual = a.residual, call.ldr = a.ldr;
  call.useBias = a.useBias ? 1 : 0;
  call.activation = static_cast<int32_t>(a.activation);
  call.xElement = a.xElement, call.yElement = a.yElement;
  check(api_.linear(context_, &job));
}

void CudaBackend::round(const ops::RoundArgs& a) { check(api_.round(context_, &a)); }

void CudaBackend::layerNorm(const ops::LayerNormArgs& a) {
  ops::LayerNormArgs args = a;
  args.gamma = constant(a.gamma, a.width);
  args.beta = constant(a.beta, a.width);
  check(api_.layerNorm(context_, &args));
}

ops::RelativeBias CudaBackend::constant(const ops::RelativeBias& host, int64_t heads) {
  ops::RelativeBias bias = host;
  bias.table = constant(host.table, heads * (2 * host.gridH - 1) * (2 * host.gridW - 1));
  bias.classes = constant(host.classes, heads * 3);
  return bias;
}

void CudaBackend::encoderAttention(const ops::EncoderAttentionArgs& a) {
  if (!a.bias) return check(api_.encoderAttention(context_, &a));
  const ops::RelativeBias bias = constant(*a.bias, a.heads);
  ops::EncoderAttentionArgs args = a;
  args.bias = &bias;
  check(api_.encoderAttention(context_, &args));
}

void CudaBackend::windowAttention(const ops::WindowAttentionArgs& a) {
  ops::WindowAttentionArgs args = a;
  args.scale = constant(a.scale, a.heads);
  args.bias = constant(a.bias, a.heads);
  check(api_.windowAttention(context_, &args));
}

void CudaBackend::mergeCells(const ops::MergeCellsArgs& a) { check(api_.mergeCells(context_, &a)); }
void CudaBackend::poolTokens(const ops::PoolTokensArgs& a) { check(api_.poolTokens(context_, &a)); }
void CudaBackend::gate(const ops::GateArgs& a) { check(api_.gate(context_, &a)); }

void CudaBackend::rotate(const ops::RotateArgs& a) {
  ops::RotateArgs args = a;
  args.cosines = constant(a.cosines, a.cells * (a.headDim / 2));
  args.sines = constant(a.sines, a.cells * (a.headDim / 2));
  check(api_.rotate(context_, &args));
}

void CudaBackend::turnPairs(const ops::TurnPairsArgs& a) {
  ops::TurnPairsArgs args = a;
  args.cosines = constant(a.cosines, a.rows * (a.headDim / 2));
  args.sines = constant(a.sines, a.rows * (a.headDim / 2));
  check(api_.turnPairs(context_, &args));
}

void CudaBackend::scaleColumns(const ops::ScaleColumnsArgs& a) {
  ops::ScaleColumnsArgs args = a;
  args.factors = constant(a.factors, a.width);
  check(api_.scaleColumns(context_, &args));
}

// Masks are host pointers per token: rare (only a forward pass with a mask has them), so they are gathered here.
const uint8_t* const* CudaBackend::stageMasks(const ops::CachedAttentionArgs& a) {
  const size_t pointers = aligned(static_cast<size_t>(a.tokens) * sizeof(void*));
  const size_t row = static_cast<size_t>(a.capacity);
  if (stagedMasks_ == a.maskOfToken) return static_cast<const uint8_t* const*>(masks_.data);
  const std::ptrdiff_t offset =
      reinterpret_cast<const unsigned char*>(a.lengthOfToken) - static_cast<const unsigned char*>(staged_.data);
  const auto* lengths = reinterpret_cast<const int32_t*>(static_cast<const unsigned char*>(pinned_.data) + offset);
  auto* device = static_cast<unsigned char*>(grow(masks_, pointers + row * static_cast<size_t>(a.tokens)));
  std::vector<unsigned char> host(pointers + row * static_cast<size_t>(a.tokens));
  for (int64_t t = 0; t < a.tokens; ++t) {
    const size_t at = pointers + static_cast<size_t>(t) * row;
    const unsigned char* address = a.maskOfToken[t] ? device + at : nullptr;
    std::memcpy(host.data() + static_cast<size_t>(t) * sizeof address, &address, sizeof address);
    if (address) std::memcpy(host.data() + at, a.maskOfToken[t], static_cast<size_t>(lengths[t]));
  }
  check(api_.upload(context_, device, host.data(), host.size()));
  stagedMasks_ = a.maskOfToken;
  return reinterpret_cast<const uint8_t* const*>(device);
}

void CudaBackend::cachedAttention(const ops::CachedAttentionArgs& a) {
  ops::CachedAttentionArgs args = a;
  if (a.maskOfToken) args.maskOfToken = stageMasks(a);
  check(api_.cachedAttention(context_, &args));
}

void CudaBackend::ngramAttention(const ops::NgramAttentionArgs& a) {
  static_assert(sizeof(int32_t) == sizeof(float), "constants are copied in words");
  ops::NgramAttentionArgs args = a;
  if (a.main.maskOfToken) args.main.maskOfToken = stageMasks(a.main);
  const float* words = constant(reinterpret_cast<const float*>(a.bucketOfDistance), a.distances);
  args.bucketOfDistance = reinterpret_cast<const int32_t*>(words);
  check(api_.ngramAttention(context_, &args));
}

void CudaBackend::writeCache(const ops::WriteCacheArgs& a) { check(api_.writeCache(context_, &a)); }
void CudaBackend::patches(const ops::PatchesArgs& a) { check(api_.patches(context_, &a)); }

void CudaBackend::assembleTokens(const ops::AssembleTokensArgs& a) {
  ops::AssembleTokensArgs args = a;
  args.prefixTokens = constant(a.prefixTokens, a.prefix * a.width);
  args.suffixTokens = constant(a.suffixTokens, a.suffix * a.width);
  args.positions = constant(a.positions, a.tokens() * a.width);
  check(api_.assembleTokens(context_, &args));
}

// The positions of an image are one long row that is added to every image.
void CudaBackend::addPositions(const ops::AddPositionsArgs& a) {
  const int64_t image = a.tokens * a.width;
  addBias({a.y, a.batch, image, constant(a.positions, image)});
}

void CudaBackend::embedTokens(const ops::EmbedTokensArgs& a) {
  ops::EmbedTokensArgs args = a;
  args.tied = nullptr;  // readsRows() is false: the table is always there
  args.table = constant(a.table, a.tableRows * a.width);
  args.positions = constant(a.positions, a.positionRows * a.width);
  check(api_.embedTokens(context_, &args));
}

void CudaBackend::addBias(const ops::AddBiasArgs& a) { check(api_.addBias(context_, &a)); }
void CudaBackend::activate(const ops::ActivateArgs& a) { check(api_.activate(context_, &a)); }
void CudaBackend::add(const ops::AddArgs& a) { check(api_.add(context_, &a)); }

void CudaBackend::summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, ops::RowSummary* out) {
  const size_t bytes = static_cast<size_t>(rows) * sizeof(ops::RowSummary);
  const SummaryCall call{logits, ld, rows, vocab, static_cast<ops::RowSummary*>(grow(summaries_, bytes))};
  check(api_.summarize(context_, &call));
  readBack(out, summaries_.data, bytes);
}

}  // namespace ved::cuda

namespace ved::ops {

std::unique_ptr<Backend> makeCudaBackend(int device) {
  return std::make_unique<cuda::CudaBackend>(cuda::requireDevice(device), device, cuda::cublasCandidates(),
                                             cuda::productsOfEnvironment());
}

}  // namespace ved::ops
