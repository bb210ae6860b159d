// The exports of the binary: ts/native/contract.ts types them.
#include <thread>

#include "addon/environment.h"
#include "addon/image.h"
#include "addon/model.h"
#include "addon/spec.h"
#include "ops/backend.h"

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

Napi::Value cpuFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array isas = Napi::Array::New(env);
  uint32_t count = 0;
  for (ops::CpuIsa isa : {ops::CpuIsa::Avx512, ops::CpuIsa::Avx2, ops::CpuIsa::Neon, ops::CpuIsa::Scalar})
    if (ops::cpuIsaAvailable(isa)) isas.Set(count++, ops::cpuIsaName(isa));
  Napi::Object o = Napi::Object::New(env);
  o.Set("isas", isas);
  o.Set("best", ops::cpuIsaName(ops::bestCpuIsa()));
  o.Set("hardwareThreads", std::thread::hardware_concurrency());
  return o;
}

}  // namespace

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  environment->modelConstructor = Napi::Persistent(ModelHandle::define(env));
  exports.Set("loadModel", Napi::Function::New(env, ModelHandle::load));
  exports.Set("cancelLoad", Napi::Function::New(env, cancelLoad));
  exports.Set("echoSpec", Napi::Function::New(env, echoSpec));
  exports.Set("cpuFeatures", Napi::Function::New(env, cpuFeatures));
  exports.Set("napiVersion", Napi::Number::New(env, NAPI_VERSION));
  InitImage(env, exports);
  return exports;
}

}  // namespace ved::addon

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return ved::addon::initialize(env, exports); }
NODE_API_MODULE(ved, Init)
