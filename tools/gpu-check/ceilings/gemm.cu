// Matrix products through cublasLt, opened at run time: the rate a library reaches at given shapes.
//   gemm LIBRARY NAME:M:N:K:TYPE ...        TYPE: fp16, bf16, fp32, tf32; Y[M,N] = X[M,K] · W[N,K]^T, rows stored whole
// Accumulation is float32. All three matrices rotate through a set larger than L2.
#include <cublasLt.h>
#include <dlfcn.h>

#include <cstring>

#include "common.cuh"
#include "shape.h"

namespace {

constexpr size_t kWorkspace = size_t{64} << 20;
constexpr int kCandidates = 8;

struct Library {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) describe;
  decltype(&cublasLtMatmulDescSetAttribute) set;
  decltype(&cublasLtMatrixLayoutCreate) layout;
  decltype(&cublasLtMatmulPreferenceCreate) prefer;
  decltype(&cublasLtMatmulPreferenceSetAttribute) setPreference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
};

void require(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s: cublasLt status %d\n", what, static_cast<int>(status));
  std::exit(1);
}

template <typename Function>
void find(void* handle, Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (function) return;
  std::fprintf(stderr, "%s is not in the library\n", name);
  std::exit(1);
}

Library open(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  Library lt{};
  find(handle, lt.create, "cublasLtCreate");
  find(handle, lt.version, "cublasLtGetVersion");
  find(handle, lt.matmul, "cublasLtMatmul");
  find(handle, lt.describe, "cublasLtMatmulDescCreate");
  find(handle, lt.set, "cublasLtMatmulDescSetAttribute");
  find(handle, lt.layout, "cublasLtMatrixLayoutCreate");
  find(handle, lt.prefer, "cublasLtMatmulPreferenceCreate");
  find(handle, lt.setPreference, "cublasLtMatmulPreferenceSetAttribute");
  find(handle, lt.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  return lt;
}

struct Type {
  cudaDataType_t data;
  cublasComputeType_t compute;
  size_t bytes;
  uint32_t keep, set;  // fill(): values from 1/8 to 2 in magnitude
};

bool typeOf(const std::string& name, Type& type) {
  if (name == "fp16")
    type = {CUDA_R_16F, CUBLAS_COMPUTE_32F, 2, 0x8fff8fffu, 0x30003000u};
  else if (name == "bf16")
    type = {CUDA_R_16BF, CUBLAS_COMPUTE_32F, 2, 0x81ff81ffu, 0x3e003e00u};
  else if (name == "fp32")
    type = {CUDA_R_32F, CUBLAS_COMPUTE_32F, 4, 0x81ffffffu, 0x3e000000u};
  else if (name == "tf32")
    type = {CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 4, 0x81ffffffu, 0x3e000000u};
  else
    return false;
  return true;
}

class Product {
 public:
  Product(const Library& lt, cublasLtHandle_t handle, const Shape& shape, const Type& type, void* workspace)
      : lt_(lt), handle_(handle), workspace_(workspace) {
    const auto m = static_cast<uint64_t>(shape.m), n = static_cast<uint64_t>(shape.n),
               k = static_cast<uint64_t>(shape.k);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    require(lt.describe(&what_, type.compute, CUDA_R_32F), "describe");
    require(lt.set(what_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)), "transpose");
    // Stored by columns, as the library sees it: Y' [n,m] = W'^T [n,k] · X' [k,m].
    require(lt.layout(&w_, type.data, k, n, shape.k), "layout of W");
    require(lt.layout(&x_, type.data, k, m, shape.k), "layout of X");
    require(lt.layout(&y_, type.data, n, m, shape.n), "layout of Y");
    cublasLtMatmulPreference_t preference;
    require(lt.prefer(&preference), "preference");
    require(lt.setPreference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof(kWorkspace)),
            "workspace");
    require(lt.heuristic(handle, what_, w_, x_, y_, y_, preference, kCandidates, candidates_, &count_), "heuristic");
    const size_t l2 = static_cast<size_t>(properties().l2CacheSize);
    for (size_t sum = 0; sets_.empty() || (sum < 3 * l2 && sets_.size() < 64);) {
      const size_t sizes[] = {m * k * type.bytes, n * k * type.bytes, m * n * type.bytes};
      Set set{};
      void** parts[] = {&set.x, &set.w, &set.y};
      for (int i = 0; i < 3; ++i) {
        const size_t padded = (sizes[i] + 255) & ~size_t{255};
        CHECK(cudaMalloc(parts[i], padded));
        fill(*parts[i], padded, static_cast<uint32_t>(3 * sets_.size() + i), type.keep, type.set);
        sum += padded;
      }
      sets_.push_back(set);
    }
  }

  ~Product() {
    for (const Set& set : sets_)
      for (void* part : {set.x, set.w, set.y}) CHECK(cudaFree(part));
  }

  // The best candidate's time of one product, in milliseconds.
  double best() {
    double found = 0;
    for (int candidate = 0; candidate < count_; ++candidate) {
      if (run(candidate) != CUBLAS_STATUS_SUCCESS) continue;
      const int inner = 4 * static_cast<int>(sets_.size());
      const double ms = medianMs(nullptr, 1, 7,
                                 [&] {
                                   for (int i = 0; i < inner; ++i) require(run(candidate), "product");
                                 }) /
                        inner;
      if (found == 0 || ms < found) found = ms;
    }
    return found;
  }

 private:
  struct Set {
    void *x, *w, *y;
  };

  cublasStatus_t run(int candidate) {
    const Set& set = sets_[next_++ % sets_.size()];
    const float one = 1, zero = 0;
    return lt_.matmul(handle_, what_, &one, set.w, w_, set.x, x_, &zero, set.y, y_, set.y, y_,
                      &candidates_[candidate].algo, workspace_, kWorkspace, nullptr);
  }

  const Library& lt_;
  cublasLtHandle_t handle_;
  void* workspace_;
  cublasLtMatmulDesc_t what_{};
  cublasLtMatrixLayout_t w_{}, x_{}, y_{};
  cublasLtMatmulHeuristicResult_t candidates_[kCandidates]{};
  int count_ = 0;
  std::vector<Set> sets_;
  size_t next_ = 0;
};

void measure(const Library& lt, cublasLtHandle_t handle, const Shape& shape, const Type& type, void* workspace) {
  Product product(lt, handle, shape, type, workspace);
  const double ms = product.best();
  const std::string name = shape.name + ", " + shape.type;
  const double m = static_cast<double>(shape.m), n = static_cast<double>(shape.n), k = static_cast<double>(shape.k);
  char note[160];
  std::snprintf(note, sizeof(note), "M %lld, N %lld, K %lld, %.2f us, %.0f GB/s", shape.m, shape.n, shape.k, ms * 1e3,
                ms > 0 ? (m * k + n * k + m * n) * static_cast<double>(type.bytes) / ms / 1e6 : 0.0);
  if (ms > 0)
    emit(name, 2 * m * n * k / ms / 1e9, "TFLOP/s", note);
  else
    std::fprintf(stderr, "%s: no algorithm\n", name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: gemm LIBRARY NAME:M:N:K:TYPE ...\n");
    return 2;
  }
  const Library lt = open(argv[1]);
  cublasLtHandle_t handle;
  require(lt.create(&handle), "create");
  void* workspace = nullptr;
  CHECK(cudaMalloc(&workspace, kWorkspace));
  emit("cublasLt version", static_cast<double>(lt.version()), "");
  for (int i = 2; i < argc; ++i) {
    Shape shape;
    Type type;
    if (!parse(argv[i], shape) || !typeOf(shape.type, type)) {
      std::fprintf(stderr, "%s: expected NAME:M:N:K:TYPE\n", argv[i]);
      return 2;
    }
    measure(lt, handle, shape, type, workspace);
  }
  return 0;
}
