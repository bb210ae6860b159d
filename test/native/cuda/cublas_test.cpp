// cuBLAS as an option: where it is looked for, what it is used for, and that nothing that is wrong with it is an error.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "op_support.h"
#include "ops/cuda/cublas_lt.h"
#include "ops/cuda/cublas_search.h"
#include "ops/cuda/cuda_backend.h"
#include "ops/cuda/shared_object.h"

using namespace ved;
using namespace ved::test;
using cuda::Products;
using cuda::Route;

namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

#if defined(VED_FAKE_CUBLAS_FILE)
constexpr const char* kFake = VED_FAKE_CUBLAS_FILE;
constexpr const char* kPartial = VED_PARTIAL_CUBLAS_FILE;

const cuda::Api& emulator() {
  if (!emulatedCuda().api) SKIP("the emulator is built on Linux only");
  return *emulatedCuda().api;
}

class Mode {
 public:
  explicit Mode(const char* value) { setenv("VED_FAKE_CUBLAS", value, 1); }
  ~Mode() { unsetenv("VED_FAKE_CUBLAS"); }
};

// Products that the stand-in has computed in this process.
int64_t fakeProducts() {
  std::string reason;
  void* object = cuda::openObject(kFake, reason);
  const auto count = reinterpret_cast<int64_t (*)()>(cuda::findSymbol(object, "vedFakeProducts"));
  return count();
}

struct LinearProblem {
  int64_t rows, in, out;
  ComputeType type = ComputeType::BFloat16;
  Activation activation = Activation::Identity;
};

// y of one product on the device, by a backend made with these libraries.
class Bench {
 public:
  Bench(const std::vector<std::string>& libraries, Products products) : backend(emulator(), 0, libraries, products) {}
  std::vector<float> linear(const LinearProblem& p) {
    Random random(31);
    std::vector<float> w(static_cast<size_t>(p.in * p.out)), bias(static_cast<size_t>(p.out)),
        x(static_cast<size_t>(p.rows * p.in)), y(static_cast<size_t>(p.rows * p.out));
    for (auto* v : {&w, &bias, &x}) random.fill(v->data(), v->size());
    const auto weight = backend.makeLinear(p.in, p.out, true, p.type);
    weight->setBlock(0, p.out, 0, p.in, w.data(), p.in, 1);
    weight->setBias(0, p.out, bias.data());
    weight->seal();
    float *dx = backend.allocate(x.size()), *dy = backend.allocate(y.size());
    backend.upload(dx, x.data(), x.size());
    backend.linear({weight.get(), dx, p.in, dy, p.out, p.rows, true, p.activation});
    backend.download(y.data(), dy, y.size());
    backend.release(dx), backend.release(dy);
    return y;
  }
  cuda::CudaBackend backend;
};
#endif

// A folder that is gone afterwards.
class Folder {
 public:
  Folder() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    path = fs::temp_directory_path() / ("ved-cublas-" + std::to_string(now));
    fs::create_directories(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string file(const std::string& name) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << "not a library";
    return (path / name).string();
  }
  fs::path path;
};

}  // namespace

VED_TEST(cublas_routes) {
  const auto route = [](int64_t rows, int64_t in, Activation activation, Element y, bool residual = false) {
    return cuda::productRoute({rows, in, 768, activation, y, residual});
  };
  using enum Activation;
  using enum Element;
  CHECK(route(65, 768, Identity, Float32) == Route::Fused);
  CHECK(route(64, 768, Identity, Float32) == Route::Own);   // few rows
  CHECK(route(5516, 48, Identity, Float32) == Route::Own);  // patches of Swin
  CHECK(route(5516, 768, Identity, Float32, true) == Route::Fused);
  CHECK(route(5516, 768, Gelu, Float32, true) == Route::Own);  // the residual comes after the activation
  CHECK(route(5516, 768, Gelu, BFloat16) == Route::Finished);  // erf
  CHECK(route(5516, 256, Gelu, BFloat16) == Route::Own);       // the pass would cost more than is won
  CHECK(route(5516, 768, GeluTanh, BFloat16) == Route::Fused);
  CHECK(route(5516, 768, GeluTanh, Float32) == Route::Finished);
  CHECK(route(5516, 768, Relu, Float32) == Route::Fused);
  CHECK(route(5516, 768, Identity, BFloat16) == Route::Fused);
  CHECK(route(5516, 768, Identity, Float16) == Route::Finished);  // infinities
  CHECK(route(5516, 768, Identity, BFloat16, true) == Route::Own);
}

VED_TEST(cublas_search_order) {
#ifdef _WIN32
  SKIP("file names of other systems");
#else
  const Folder folder;
  const std::string beside = folder.file("own/libcublasLt.so.13"),
                    toolkit = folder.file("cuda/lib64/libcublasLt.so.13"),
                    old = folder.file("cuda/lib64/libcublasLt.so.12"),
                    wheel = folder.file("env/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13"),
                    older = folder.file("env/lib/python3.9/site-packages/nvidia/cublas/lib/libcublasLt.so.12"),
                    conda = folder.file("conda/lib/libcublasLt.so.12");
  std::map<std::string, std::string> variables = {{"CUDA_PATH", (folder.path / "cuda").string()},
                                                  {"VIRTUAL_ENV", (folder.path / "env").string()},
                                                  {"CONDA_PREFIX", (folder.path / "conda").string()}};
  const auto find = [&] {
    return cuda::cublasCandidates(folder.path / "own", [&](const char* name) { return variables[name]; });
  };
  std::vector<std::string> found = find();
  CHECK(found.size() >= 8 && found.back() == "libcublasLt.so.12" && found[found.size() - 2] == "libcublasLt.so.13");
  // What this machine has of its own lies in other folders.
  std::erase_if(found, [&](const std::string& file) { return !contains(file, folder.path.string()); });
  CHECK(found == std::vector<std::string>({beside, toolkit, old, wheel, older, conda}));
  variables["VED_CUBLAS_PATH"] = (folder.path / "cuda" / "lib64").string();
  CHECK(find() == std::vector<std::string>({toolkit, old}));
  variables["VED_CUBLAS_PATH"] = wheel;
  CHECK(find() == std::vector<std::string>({wheel}));
  variables["VED_CUBLAS_PATH"] = folder.path.string();  // a folder without it: the reason will name it
  CHECK(find() == std::vector<std::string>({folder.path.string()}));
  variables["VED_CUBLAS_PATH"] = "none";
  CHECK(find().empty());
#endif
}

VED_TEST(cublas_version_text) {
  CHECK_EQ(cuda::cublasVersion(130101), "13.1.1");
  CHECK_EQ(cuda::cublasVersion(120805), "12.8.5");
}

// The real library takes every description this package makes, where there is one; it needs no device for that.
VED_TEST(cublas_real_library_takes_our_values) {
  namespace lt = cuda::lt;
  void* object = nullptr;
  std::string reason;
  for (const std::string& file : cuda::cublasCandidates())
    if ((object = cuda::openObject(file, reason))) break;
  if (!object) SKIP("no cuBLAS library here (VED_CUBLAS_PATH names one)");
  lt::Functions f;
  lt::forEachFunction(f, [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(cuda::findSymbol(object, name));
    if (!CHECK(function)) throw std::runtime_error(name);
  });
  CHECK(f.cublasLtGetVersion() >= lt::kOldestVersion && f.cublasLtGetVersion() < lt::kNewerThanKnown);
  CHECK_EQ(std::string(f.cublasLtGetStatusName(0)), "CUBLAS_STATUS_SUCCESS");
  lt::Product product = nullptr;
  CHECK_EQ(f.cublasLtMatmulDescCreate(&product, lt::kComputeFloat32, lt::kFloat32), 0);
  const auto set = [&](int attribute, auto value) {
    return f.cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof value);
  };
  CHECK_EQ(set(lt::kTransposeA, lt::kTranspose), 0);
  CHECK_EQ(set(lt::kEpilogue, lt::kBias | lt::kGelu), 0);
  CHECK_EQ(set(lt::kBiasPointer, static_cast<const void*>(&f)), 0);
  CHECK_EQ(set(lt::kBiasType, int32_t{lt::kBFloat16}), 0);
  CHECK(set(lt::kTransposeA, int64_t{1}) != 0);  // it does look
  lt::Layout layout = nullptr;
  CHECK_EQ(f.cublasLtMatrixLayoutCreate(&layout, lt::kFloat16, 768, 5516, 776), 0);
  lt::Preference preference = nullptr;
  CHECK_EQ(f.cublasLtMatmulPreferenceCreate(&preference), 0);
  const auto prefer = [&](int attribute, auto value) {
    return f.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
  };
  CHECK_EQ(prefer(lt::kWorkspaceBytes, uint64_t{1} << 25), 0);
  CHECK_EQ(prefer(lt::kReductionSchemes, lt::kUnsplit), 0);
  for (const int which : {lt::kAlignmentA, lt::kAlignmentB, lt::kAlignmentC, lt::kAlignmentD})
    CHECK_EQ(prefer(which, uint32_t{16}), 0);
  CHECK(prefer(lt::kWorkspaceBytes, uint32_t{1}) != 0);
  CHECK_EQ(f.cublasLtMatmulPreferenceDestroy(preference), 0);
  CHECK_EQ(f.cublasLtMatrixLayoutDestroy(layout), 0);
  CHECK_EQ(f.cublasLtMatmulDescDestroy(product), 0);
}

#if defined(VED_FAKE_CUBLAS_FILE)
VED_TEST(cublas_that_cannot_be_used_is_no_error) {
  const Folder folder;
  const LinearProblem problem{70, 130, 20};
  const auto want = Bench({}, Products::Own).linear(problem);
  const struct {
    const char* mode;
    std::string file, reason;
  } cases[] = {{"", (folder.path / "absent.so").string(), "absent.so"},
               {"", folder.path.string(), folder.path.filename().string()},
               {"", folder.file("text.so"), "text.so"},
               {"", VED_CUDA_EMULATOR_FILE, "has no cublasLt"},
               {"", kPartial, "has no cublasLtMatmul"},
               {"old", kFake, "is cuBLAS 11, expected 12 or 13"},
               {"future", kFake, "is cuBLAS 15, expected 12 or 13"},
               {"no-create", kFake, "cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED (1)"}};
  for (const auto& c : cases) {
    const Mode mode(c.mode);
    Bench bench({c.file}, Products::Library);
    CHECK_EQ(bench.backend.cublas().file, "");
    if (!CHECK(contains(bench.backend.cublas().reason, c.reason)))
      std::printf("  got: %s\n", bench.backend.cublas().reason.c_str());
    CHECK(bench.linear(problem) == want);
  }
  CHECK_EQ(Bench({}, Products::Chosen).backend.cublas().reason, "VED_CUBLAS_PATH is 'none'");
  CHECK_EQ(Bench({"libved-nowhere.so"}, Products::Chosen).backend.cublas().reason, "no cuBLAS library was found");
  // A broken one does not hide a good one behind it.
  CHECK_EQ(Bench({kPartial, kFake}, Products::Chosen).backend.cublas().file, kFake);
}

// What it has no kernel for, or fails at, own kernels compute: bit by bit what they would have.
VED_TEST(cublas_that_refuses_a_product_is_replaced) {
  const LinearProblem problem{70, 130, 20};
  const auto want = Bench({}, Products::Own).linear(problem);
  for (const char* name : {"no-heuristic", "bad-state", "matmul-fails"}) {
    const Mode mode(name);
    Bench bench({kFake}, Products::Library);
    CHECK_EQ(bench.backend.cublas().file, kFake);
    const int64_t before = fakeProducts();
    CHECK(bench.linear(problem) == want);
    CHECK(bench.linear(problem) == want);
    CHECK_EQ(fakeProducts(), before);
  }
}

VED_TEST(cublas_serves_what_its_route_says) {
  Bench bench({kFake}, Products::Chosen);
  const auto computed = [&](const LinearProblem& problem) {
    const int64_t before = fakeProducts();
    const auto got = bench.linear(problem), want = Bench({}, Products::Own).linear(problem);
    for (size_t i = 0; i < got.size(); ++i)
      if (!checkClose(got[i], want[i], 1e-4, "sum")) break;
    return fakeProducts() - before;
  };
  using enum Activation;
  CHECK_EQ(computed({70, 130, 20}), 1);
  CHECK_EQ(computed({70, 130, 20, ComputeType::Float16, Relu}), 1);
  CHECK_EQ(computed({64, 130, 20}), 0);
  CHECK_EQ(computed({70, 120, 20}), 0);
  CHECK_EQ(computed({70, 130, 20, ComputeType::BFloat16, Gelu}), 0);
  CHECK_EQ(computed({65, 516, 9, ComputeType::BFloat16, Gelu}), 1);
  CHECK_EQ(computed({70, 130, 20, ComputeType::Float32}), 0);  // a row has the same bits in any batch
}

// float16: a sum beyond its range ends at the largest number.
VED_TEST(cublas_saturates_float16) {
  cuda::CudaBackend backend(emulator(), 0, {kFake}, Products::Library);
  const float w[] = {1, 1, -1, -1, 1, -1}, x[] = {60000, 60000};  // sums: 120000, -120000, 0
  const auto weight = backend.makeLinear(2, 3, false, ComputeType::Float16);
  weight->setBlock(0, 3, 0, 2, w, 2, 1);
  weight->seal();
  float *dx = backend.allocate(2), *dy = backend.allocate(4);
  backend.upload(dx, x, 2);
  ops::LinearArgs a{weight.get(), dx, 2, dy, 8, 1};
  a.yElement = Element::Float16;
  const int64_t before = fakeProducts();
  backend.linear(a);
  CHECK_EQ(fakeProducts(), before + 1);
  uint16_t y[8];
  float words[4];
  backend.download(words, dy, 4);
  std::memcpy(y, words, sizeof y);
  CHECK_EQ(y[0], 0x7bff), CHECK_EQ(y[1], 0xfbff), CHECK_EQ(y[2], 0);
  backend.release(dx), backend.release(dy);
}

VED_TEST(cublas_products_are_recorded) {
  cuda::CudaBackend backend(emulator(), 0, {kFake}, Products::Library);
  const float w[] = {1, 2, 3, 4};
  const auto weight = backend.makeLinear(2, 2, false, ComputeType::BFloat16);
  weight->setBlock(0, 2, 0, 2, w, 2, 1);
  weight->seal();
  float *x = backend.allocate(2), *y = backend.allocate(2);
  for (int run = 0; run < 5; ++run) {
    const float values[] = {static_cast<float>(run), 1};
    backend.upload(x, values, 2);
    const uint64_t key[] = {11};
    if (!backend.replay(key)) {
      backend.linear({weight.get(), x, 2, y, 2, 1});
      backend.endRecording();
    }
    float got[2];
    backend.download(got, y, 2);
    CHECK_EQ(got[0], static_cast<float>(run) + 2), CHECK_EQ(got[1], 3 * static_cast<float>(run) + 4);
  }
  CHECK_EQ(backend.graphs(), size_t{1});
  backend.release(x), backend.release(y);
}

VED_TEST(cublas_is_reported) {
  emulator();
  const auto report = [](const char* path) {
    setenv("VED_CUBLAS_PATH", path, 1);
    const cuda::Report result = cuda::report(emulatedCuda());
    unsetenv("VED_CUBLAS_PATH");
    return result;
  };
  const cuda::Report used = report(kFake), unused = report(kPartial);
  CHECK(used.cublas == kFake && used.cublasVersion == 130101 && used.cublasReason.empty());
  CHECK(unused.cublas.empty() && unused.usable && contains(unused.cublasReason, "has no cublasLtMatmul"));
}
#endif
