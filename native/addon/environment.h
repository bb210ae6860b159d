// What one Node environment (main thread, worker, utility process) owns: the way from native threads back to its event
// loop, and its models. Nothing is global; a cleanup hook joins every thread before the environment goes away.
#pragma once
#include <napi.h>

#include <functional>
#include <list>
#include <memory>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "engine/engine.h"

namespace ved::addon {

class Environment;

// A closure that runs on the event loop.
struct Event {
  std::function<void(Napi::Env, Environment&)> run;
};
void runEvent(Napi::Env env, Napi::Function, Environment* environment, Event* event);
using Loop = Napi::TypedThreadSafeFunction<Environment, Event, runEvent>;

// A promise that is settled exactly once, and what has to stay alive until then.
struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference owner;  // the model object
  std::vector<Napi::FunctionReference> callbacks;
  Napi::ObjectReference failure;  // { value }: what a callback threw
  std::function<void()> cancel;
  bool cancelled = false;  // a result that is already on its way is dropped
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  uint32_t addJob(std::unique_ptr<Job> job);
  Job* job(uint32_t id);
  std::unique_ptr<Job> takeJob(uint32_t id);  // the event loop may end once none is left
  void cancelJob(uint32_t id);

  // From any thread. False when the environment is closing: then the closure never runs.
  bool post(std::function<void(Napi::Env, Environment&)> run);

  // Engines known to the environment are stopped and joined by the cleanup hook.
  void adopt(engine::Engine* engine) { engines_.insert(engine); }
  void destroy(std::unique_ptr<engine::Engine> engine, std::function<void(Napi::Env, Environment&)> done);
  void destroyNow(std::unique_ptr<engine::Engine> engine);
  bool closed() const { return closed_; }
  std::list<std::unique_ptr<engine::Engine>*>& owners() { return owners_; }
  Napi::FunctionReference modelConstructor, imageConstructor;

 private:
  static void teardown(void* self);
  Napi::Env env_;
  Loop loop_;
  std::atomic<bool> closed_{false};
  uint32_t nextJob_ = 1;
  std::unordered_map<uint32_t, std::unique_ptr<Job>> jobs_;
  std::unordered_set<engine::Engine*> engines_;
  std::list<std::unique_ptr<engine::Engine>*> owners_;
  struct Reaper {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> finished;
  };
  std::list<Reaper> reapers_;
};

// { message, code, kind } as a JavaScript Error; TypeScript turns it into the typed class.
Napi::Error toError(Napi::Env env, std::exception_ptr error);
Napi::Error toError(Napi::Env env, const Error& error);

// Runs `body`, turning every C++ exception into a JavaScript one. The only catch of synchronous calls.
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toError(env, std::current_exception());
  }
}

}  // namespace ved::addon
