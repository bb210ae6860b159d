// Rows stored whole are columns to cuBLAS: y^T [out, rows] = W^T' [out, in] x^T [in, rows], where W [out][in] is the
// transpose of what it sees. The bias runs along the rows of y^T, as its epilogue wants.
#include "ops/cuda/kernels/cublas.cuh"

#include <algorithm>
#include <type_traits>

#include "ops/cuda/shared_object.h"

namespace ved::cuda {
namespace {

// What NVIDIA recommends for Hopper and later, and more than older devices ask for.
constexpr size_t kWorkspace = size_t{32} << 20;
// Shapes remembered: encoder batches times layers, row buckets times decoder layers.
constexpr size_t kPreparedLimit = 1024;
constexpr int64_t kInt32Limit = 0x7fffffff;

int typeOf(Element element) {
  return element == Element::Float32 ? lt::kFloat32 : element == Element::BFloat16 ? lt::kBFloat16 : lt::kFloat16;
}

// The largest power of two, up to 256, that divides an address.
uint32_t alignmentOf(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return static_cast<uint32_t>(std::min<uintptr_t>(address & (~address + 1), 256));
}

const void* biasOf(const LinearJob& job) {
  const LinearCall& a = job.call;
  return a.yElement == Element::Float32 ? static_cast<const void*>(a.weight.bias) : job.roundedBias;
}

uint32_t epilogueOf(const LinearCall& a, Route route) {
  uint32_t flags = a.useBias ? lt::kBias : 0;
  const auto activation = static_cast<Activation>(a.activation);
  if (route == Route::Fused && activation == Activation::Relu) flags |= lt::kRelu;
  if (route == Route::Fused && activation == Activation::GeluTanh) flags |= lt::kGelu;
  return flags ? flags : lt::kNone;
}

std::string failed(const lt::Functions& lt, const char* what, lt::Status status) {
  const char* name = lt.cublasLtGetStatusName(status);
  return std::string(what) + ": " + (name ? name : "unknown status") + " (" + std::to_string(status) + ")";
}

}  // namespace

Context::Context() = default;
Context::~Context() = default;

bool Cublas::Key::operator<(const Key& other) const {
  return std::lexicographical_compare(std::begin(values), std::end(values), std::begin(other.values),
                                      std::end(other.values));
}

std::string Cublas::open(Context* context, const std::string& file, int32_t& version) {
  std::string reason;
  std::unique_ptr<Cublas> self(new Cublas);
  void* object = openObject(file, reason);
  if (!object) return reason;
  const char* missing = nullptr;
  lt::forEachFunction(self->lt_, [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(findSymbol(object, name));
    if (!function && !missing) missing = name;
  });
  if (missing) return file + ": has no " + missing;
  const size_t found = self->lt_.cublasLtGetVersion();
  version = static_cast<int32_t>(std::min<size_t>(found, 999999));
  if (found < lt::kOldestVersion || found >= lt::kNewerThanKnown)
    return file + ": is cuBLAS " + std::to_string(found / 10000) + ", expected 12 or 13";
  if (context && context->cublas) return "";
  if (const lt::Status status = self->lt_.cublasLtCreate(&self->handle_)) {
    self->handle_ = nullptr;
    return file + ": " + failed(self->lt_, "cublasLtCreate", status);
  }
  if (!context) return "";
  if (cudaMalloc(&self->workspace_, kWorkspace) != cudaSuccess) {
    cudaGetLastError();
    self->workspace_ = nullptr;
    return "no device memory for the workspace of cuBLAS";
  }
  self->workspaceBytes_ = kWorkspace;
  context->cublas = std::move(self);
  return "";
}

Cublas::~Cublas() {
  dropAll();
  if (handle_) lt_.cublasLtDestroy(handle_);
  if (workspace_) cudaFree(workspace_);
}

void Cublas::drop(Prepared& one) {
  for (lt::Layout* layout : {&one.w, &one.x, &one.c, &one.y})
    if (*layout) lt_.cublasLtMatrixLayoutDestroy(*layout);
  if (one.product) lt_.cublasLtMatmulDescDestroy(one.product);
  one = {};
}

void Cublas::dropAll() {
  for (auto& [key, one] : prepared_) drop(one);
  prepared_.clear();
}

bool Cublas::prepare(Prepared& to, const LinearJob& job, const Operand& x, Route route) {
  const LinearCall& a = job.call;
  const int type = typeOf(operandElement(a.weight.type)), outType = typeOf(a.yElement);
  const auto rows = static_cast<uint64_t>(a.rows), in = static_cast<uint64_t>(x.depth),
             out = static_cast<uint64_t>(a.weight.out);
  const uint32_t epilogue = epilogueOf(a, route);
  const void* bias = biasOf(job);
  const auto set = [&](int attribute, const auto& value) {
    return lt_.cublasLtMatmulDescSetAttribute(to.product, attribute, &value, sizeof value) == 0;
  };
  if (lt_.cublasLtMatmulDescCreate(&to.product, lt::kComputeFloat32, lt::kFloat32) != 0) return false;
  bool ok = set(lt::kTransposeA, lt::kTranspose) && set(lt::kEpilogue, epilogue);
  if (a.useBias) ok = ok && set(lt::kBiasPointer, bias) && set(lt::kBiasType, int32_t{outType});
  return ok && lt_.cublasLtMatrixLayoutCreate(&to.w, type, in, out, x.ldw) == 0 &&
         lt_.cublasLtMatrixLayoutCreate(&to.x, type, in, rows, x.ld) == 0 &&
         lt_.cublasLtMatrixLayoutCreate(&to.y, outType, out, rows, a.ldy) == 0 &&
         lt_.cublasLtMatrixLayoutCreate(&to.c, outType, out, rows, a.residual ? a.ldr : a.ldy) == 0 &&
         choose(to, job, x);
}

bool Cublas::choose(Prepared& to, const LinearJob& job, const Operand& x) {
  const LinearCall& a = job.call;
  lt::Preference preference = nullptr;
  if (lt_.cublasLtMatmulPreferenceCreate(&preference) != 0) return false;
  const auto set = [&](int attribute, auto value) {
    return lt_.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value) == 0;
  };
  int count = 0;
  const bool ok = set(lt::kWorkspaceBytes, uint64_t{workspaceBytes_}) && set(lt::kReductionSchemes, lt::kUnsplit) &&
                  set(lt::kAlignmentA, alignmentOf(a.weight.data)) && set(lt::kAlignmentB, alignmentOf(x.data)) &&
                  set(lt::kAlignmentC, alignmentOf(a.residual ? a.residual : a.y)) &&
                  set(lt::kAlignmentD, alignmentOf(a.y)) &&
                  lt_.cublasLtMatmulAlgoGetHeuristic(handle_, to.product, to.w, to.x, to.c, to.y, preference, 1,
                                                     &to.candidate, &count) == 0;
  lt_.cublasLtMatmulPreferenceDestroy(preference);
  return ok && count > 0 && to.candidate.state == 0 && to.candidate.workspaceBytes <= workspaceBytes_;
}

Cublas::Prepared& Cublas::prepared(Context& c, const LinearJob& job, const Operand& x, Route route) {
  const LinearCall& a = job.call;
  const Key key = {
      {a.rows, x.depth, a.weight.out, x.ld, x.ldw, a.ldy, a.residual ? a.ldr : -1, static_cast<int64_t>(a.weight.type),
       static_cast<int64_t>(a.yElement), epilogueOf(a, route),
       int64_t{alignmentOf(a.weight.data)} << 32 | int64_t{alignmentOf(x.data)} << 16 | int64_t{alignmentOf(a.y)},
       int64_t{alignmentOf(a.residual)} << 16 | int64_t{a.useBias ? alignmentOf(biasOf(job)) : 0}}};
  const auto found = prepared_.find(key);
  if (found != prepared_.end()) return found->second;
  if (prepared_.size() >= kPreparedLimit) dropAll();
  Prepared& one = prepared_[key];
  // Its descriptions belong to the device of the calling thread.
  one.usable = cudaSetDevice(c.device) == cudaSuccess && prepare(one, job, x, route);
  if (!one.usable) drop(one);
  return one;
}

bool Cublas::multiply(Context& c, const LinearJob& job, const Operand& x, Route route) {
  const LinearCall& a = job.call;
  if (a.rows > kInt32Limit || a.weight.out > kInt32Limit || x.depth > kInt32Limit) return false;
  // In place the two have to lie alike.
  if (a.residual == a.y && a.residual && a.ldr != a.ldy) return false;
  Prepared& one = prepared(c, job, x, route);
  if (!one.usable) return false;
  const void* bias = biasOf(job);
  const float alpha = 1.0f, beta = a.residual ? 1.0f : 0.0f;
  const bool ok =
      (!a.useBias || lt_.cublasLtMatmulDescSetAttribute(one.product, lt::kBiasPointer, &bias, sizeof bias) == 0) &&
      lt_.cublasLtMatmul(handle_, one.product, &alpha, a.weight.data, one.w, x.data, one.x, &beta,
                         a.residual ? a.residual : a.y, one.c, a.y, one.y, &one.candidate.algorithm, workspace_,
                         workspaceBytes_, c.stream) == 0;
  if (!ok) drop(one);  // and not asked for again
  return ok;
}

}  // namespace ved::cuda
