// The exports of the binary: ts/native/contract.ts types them.
#include <thread>

#include "addon/environment.h"
#include "addon/image.h"
#include "addon/model.h"
#include "addon/spec.h"
#include "ops/backend.h"
#include "ops/cuda/loader.h"

namespace ved::addon {
namespace {

Napi::Value echoSpec(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return writeSpec(info.Env(), readSpec(Reader(info[0], "spec"))); });
}

Napi::Value cancelLoad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Environment::of(info.Env()).cancelJob(static_cast<uint32_t>(asInteger(info[0], "jobId")));
    return info.Env().Undefined();
  });
}

Napi::Object writeDevice(Napi::Env env, const cuda::Device& device) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("index", device.index);
  o.Set("name", device.info.name);
  o.Set("computeCapability", std::to_string(device.info.major) + "." + std::to_string(device.info.minor));
  o.Set("multiprocessors", device.info.multiprocessors);
  o.Set("memoryBytes", static_cast<double>(device.info.memory));
  o.Set("freeBytes", static_cast<double>(device.info.freeMemory));
  o.Set("usable", device.info.usable != 0);
  o.Set("reason", device.info.reason);
  return o;
}

Napi::Value cudaReport(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const cuda::Report report = cuda::report(cuda::library());
    Napi::Array devices = Napi::Array::New(env, report.devices.size());
    for (size_t i = 0; i < report.devices.size(); ++i)
      devices.Set(static_cast<uint32_t>(i), writeDevice(env, report.devices[i]));
    Napi::Object o = Napi::Object::New(env);
    o.Set("available", report.usable);
    o.Set("emulated", report.emulated);
    o.Set("reason", report.reason);
    o.Set("library", report.library);
    o.Set("driver", report.driverVersion ? cuda::cudaVersion(report.driverVersion) : "");
    o.Set("runtime", report.runtimeVersion ? cuda::cudaVersion(report.runtimeVersion) : "");
    o.Set("devices", devices);
    Napi::Object cublas = Napi::Object::New(env);
    cublas.Set("library", report.cublas);
    cublas.Set("version", report.cublasVersion ? cuda::cublasVersion(report.cublasVersion) : "");
    cublas.Set("reason", report.cublasReason);
    o.Set("cublas", cublas);
    return o;
  });
}

Napi::Value cpuFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array isas = Napi::Array::New(env);
  uint32_t count = 0;
  for (ops::CpuIsa isa : {ops::CpuIsa::Avx512, ops::CpuIsa::Avx2, ops::CpuIsa::Neon, ops::CpuIsa::Scalar})
    if (ops::cpuIsaAvailable(isa)) isas.Set(count++, ops::cpuIsaName(isa));
  Napi::Object o = Napi::Object::New(env);
  o.Set("isas", isas);
  o.Set("best", ops::cpuKernelsName(ops::bestCpuIsa()));
  o.Set("hardwareThreads", std::thread::hardware_concurrency());
  return o;
}

}  // namespace

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  environment->modelConstructor = Napi::Persistent(ModelHandle::define(env));
  environment->imageConstructor = Napi::Persistent(ImageHandle::define(env));
  exports.Set("loadModel", Napi::Function::New(env, ModelHandle::load));
  exports.Set("cancelLoad", Napi::Function::New(env, cancelLoad));
  exports.Set("echoSpec", Napi::Function::New(env, echoSpec));
  exports.Set("cudaReport", Napi::Function::New(env, cudaReport));
  exports.Set("cpuFeatures", Napi::Function::New(env, cpuFeatures));
  exports.Set("napiVersion", Napi::Number::New(env, NAPI_VERSION));
  initImage(env, exports);
  return exports;
}

}  // namespace ved::addon

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return ved::addon::initialize(env, exports); }
NODE_API_MODULE(ved, Init)
