// The backends that every op case runs on: each instruction set of the CPU with and without its extensions, the CUDA
// kernels on the host emulator, and those on a device where there is one.
#include "cuda/mirror_backend.h"
#include "op_support.h"
#include "ops/cuda/cublas_search.h"
#include "ops/cuda/cuda_backend.h"
#include "ops/cuda/loader.h"

namespace ved::test {
namespace {

Target cudaTarget(const std::string& name, const cuda::Api& api) {
  return {name,
          [&api](int) -> std::unique_ptr<ops::Backend> {
            return std::make_unique<MirrorBackend>(std::make_unique<cuda::CudaBackend>(api, 0));
          },
          {ComputeType::Float32, ComputeType::BFloat16, ComputeType::Float16},
          false};
}

// Products in 16 bits by cuBLAS, whatever their shape. A real one says nothing of NaN in its ReLU.
Target cublasTarget(const std::string& name, const cuda::Api& api, const std::vector<std::string>& libraries) {
  Target target = cudaTarget(name, api);
  target.make = [&api, libraries](int) -> std::unique_ptr<ops::Backend> {
    return std::make_unique<MirrorBackend>(
        std::make_unique<cuda::CudaBackend>(api, 0, libraries, cuda::Products::Library));
  };
  target.types = {ComputeType::BFloat16, ComputeType::Float16};
  target.roundsOnce = false, target.keepsNan = false;
  return target;
}

std::vector<Target> makeTargets() {
  std::vector<Target> targets;
  for (const ops::CpuIsa isa : availableIsas())
    for (const ops::CpuExtensions extensions : {ops::CpuExtensions::Detected, ops::CpuExtensions::None})
      if (extensions == ops::CpuExtensions::Detected || isa != ops::CpuIsa::Scalar)
        targets.push_back({label(isa) + (extensions == ops::CpuExtensions::None ? " without extensions" : ""),
                           [=](int threads) { return ops::makeCpuBackend(isa, threads, extensions); },
                           {std::begin(kTypes), std::end(kTypes)}});
  if (const Target* amx = amxTarget()) targets.push_back(*amx);
  if (const cuda::Api* api = emulatedCuda().api) targets.push_back(cudaTarget("cuda-emulator", *api));
#if defined(VED_FAKE_CUBLAS_FILE)
  if (const cuda::Api* api = emulatedCuda().api)
    targets.push_back(cublasTarget("cuda-emulator+cublas", *api, {VED_FAKE_CUBLAS_FILE}));
#endif
  if (const cuda::Api* api = deviceCuda().api) {
    targets.push_back(cudaTarget("cuda", *api));
    const std::vector<std::string> libraries = cuda::cublasCandidates();
    if (cuda::chooseCublas(*api, nullptr, libraries).version)
      targets.push_back(cublasTarget("cuda+cublas", *api, libraries));
  }
  return targets;
}

}  // namespace

const cuda::Library& emulatedCuda() {
#if defined(VED_CUDA_EMULATOR_FILE)
  static const cuda::Library library = cuda::openLibrary(VED_CUDA_EMULATOR_FILE);
#else
  static const cuda::Library library;
#endif
  return library;
}

const cuda::Library& deviceCuda() {
  static const cuda::Library library = [] {
    cuda::Library opened = cuda::library();
    const cuda::Report report = cuda::report(opened);
    if (report.usable && !report.emulated) return opened;
    if (opened.api) opened.reason = report.emulated ? "VED_CUDA_LIB names the host emulator" : report.reason;
    opened.api = nullptr;
    return opened;
  }();
  return library;
}

const std::vector<Target>& targets() {
  static const std::vector<Target> all = makeTargets();
  return all;
}

}  // namespace ved::test
