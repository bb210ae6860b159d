// The package's own CUDA library: each product by our kernels and by cuBLAS in the same run, and which of the two the
// library takes by itself.
//   products LIBVED_CUDA LIBCUBLASLT NAME:M:N:K:TYPE ...     TYPE: fp16 or bf16; 16-bit results with bias, as inside a layer
// "fc1" in a name adds an erf GELU, "proj" and "fc2" a residual and float32 results, "head" float32 results.
#include <dlfcn.h>

#include <memory>

#include "common.cuh"
#include "shape.h"
#include "ops/cuda/api.h"

namespace {

using namespace ved;
using namespace ved::cuda;

const Api* api = nullptr;
Context* context = nullptr;

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s: %s\n", what, context ? api->lastError(context) : "");
  std::exit(1);
}

void* filled(size_t bytes, uint32_t seed, uint32_t keep, uint32_t set) {
  void* memory = nullptr;
  require(api->allocate(context, (bytes + 255) / 256 * 256, &memory) == kOk, "memory");
  require(api->synchronize(context) == kOk, "memory");
  fill(memory, bytes, seed, keep, set);
  return memory;
}

// Sets of operands that together exceed L2, so that each call finds its weights in memory, as layers do.
class Calls {
 public:
  explicit Calls(const Shape& s) {
    const bool half = s.type == "fp16";
    const auto has = [&](const char* part) { return s.name.find(part) != std::string::npos; };
    const ComputeType type = half ? ComputeType::Float16 : ComputeType::BFloat16;
    const Element element = operandElement(type);
    const bool residual = has("proj") || has("fc2"), wide = residual || has("head");
    const int64_t ldx = storedWidth(s.k, element);
    const size_t x = static_cast<size_t>(s.m * ldx * 2), y = static_cast<size_t>(s.m * s.n * 4 + 16 * s.m);
    LinearJob job{};
    LinearCall& call = job.call;
    call.weight.in = s.k, call.weight.out = s.n, call.weight.type = type;
    call.weight.bytes = api->weightBytes(type, s.k, s.n);
    call.ldx = ldx, call.rows = s.m, call.useBias = 1, call.xElement = element;
    call.yElement = wide ? Element::Float32 : element;
    call.ldy = wide ? s.n : storedWidth(s.n, element), call.ldr = s.n;
    call.activation = static_cast<int32_t>(has("fc1") ? Activation::Gelu : Activation::Identity);
    const uint32_t keep = half ? 0x8fff8fffu : 0x81ff81ffu, set = half ? 0x30003000u : 0x3e003e00u;
    const size_t enough = static_cast<size_t>(properties().l2CacheSize) * 2;
    for (size_t sum = 0; calls_.empty() || (sum < enough && calls_.size() < 32); sum += call.weight.bytes + x + y) {
      call.weight.data = filled(call.weight.bytes, 1, keep, set);
      call.weight.bias = static_cast<float*>(filled(s.n * 4, 2, 0x81ffffffu, 0x3e000000u));
      job.roundedBias = filled(s.n * 2 + 2, 3, keep, set);
      call.x = filled(x, 4, keep, set);
      call.y = filled(y, 5, 0x81ffffffu, 0x3e000000u);
      call.residual = residual ? static_cast<const float*>(call.y) : nullptr;
      calls_.push_back(job);
    }
  }
  ~Calls() {
    for (LinearJob& j : calls_)
      for (const void* memory : {static_cast<const void*>(j.call.weight.data), static_cast<const void*>(j.call.weight.bias),
                                 j.roundedBias, j.call.x, static_cast<const void*>(j.call.y)})
        api->release(context, const_cast<void*>(memory));
  }
  // Microseconds of one call, in a queue of many.
  double measure(Products products) {
    const int count = std::max<int>(10, static_cast<int>(calls_.size()));
    return medianHostUs(2, 7, [&] {
             for (int i = 0; i < count; ++i) {
               LinearJob& job = calls_[static_cast<size_t>(i) % calls_.size()];
               job.products = products;
               require(api->linear(context, &job) == kOk, "linear");
             }
             require(api->synchronize(context) == kOk, "linear");
           }) /
           count;
  }
  Route chosen() const {
    const LinearCall& c = calls_[0].call;
    return productRoute({c.rows, c.weight.in, c.weight.out, static_cast<Activation>(c.activation), c.yElement,
                         c.residual != nullptr});
  }

 private:
  std::vector<LinearJob> calls_;
};

}  // namespace

int main(int argc, char** argv) {
  void* library = argc > 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
  const auto entry = library ? reinterpret_cast<GetApi>(dlsym(library, kEntry)) : nullptr;
  api = entry ? entry(kAbi) : nullptr;
  if (!api || api->layout != layoutFingerprint()) {
    std::fprintf(stderr, "usage: products LIBVED_CUDA LIBCUBLASLT NAME:M:N:K:TYPE ..., with a library of these sources\n");
    return 1;
  }
  char message[512] = "";
  require(api->open(0, &context, message, sizeof message) == kOk, message);
  CublasInfo info{};
  api->openCublas(context, argv[2], &info);
  if (!info.usable) {
    std::fprintf(stderr, "%s\n", info.reason);
    return 1;
  }
  for (int i = 3; i < argc; ++i) {
    Shape shape;
    if (!parse(argv[i], shape) || (shape.type != "fp16" && shape.type != "bf16")) {
      std::fprintf(stderr, "%s: expected NAME:M:N:K:TYPE\n", argv[i]);
      return 1;
    }
    Calls calls(shape);
    const double own = calls.measure(Products::Own), cublas = calls.measure(Products::Library);
    const double flops = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
    const bool takesOwn = calls.chosen() == Route::Own, ownFaster = own <= cublas;
    char note[160];
    std::snprintf(note, sizeof note, "own %.1f us, cuBLAS %.1f us; chosen: %s%s", own, cublas,
                  takesOwn ? "own" : "cuBLAS", takesOwn == ownFaster ? "" : ", the slower one");
    emit("product " + shape.name + ", " + shape.type, flops / std::min(own, cublas) * 1e-6, "TFLOP/s", note);
  }
  api->close(context);
  return 0;
}
