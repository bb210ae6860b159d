// NativeModel of ts/native/contract.ts: one engine and the jobs running on it.
#pragma once
#include "addon/environment.h"
#include "addon/reader.h"

namespace ved::addon {

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelHandle(const Napi::CallbackInfo& info);
  ~ModelHandle() override;

  // loadModel(source, spec, options) -> { id, promise of a NativeModel }
  static Napi::Value load(const Napi::CallbackInfo& info);

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value readOwned(const Napi::CallbackInfo& info);
  Napi::Value dumpPlan(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  engine::Engine& engine();
  engine::Pixels readPixels(const Reader& r) const;
  void attach(Environment& environment, std::unique_ptr<engine::Engine> engine, const engine::Engine::Ready& ready);

  Environment* environment_ = nullptr;
  std::unique_ptr<engine::Engine> engine_;
  bool preparesPixels_ = false;
};

}  // namespace ved::addon
