#include "addon/callbacks.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "addon/reader.h"

namespace ved::addon {
namespace {

struct Waiting {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool failed = false;
};

void finish(const std::shared_ptr<Waiting>& waiting, bool failed) {
  {
    std::lock_guard lock(waiting->mutex);
    waiting->done = true;
    waiting->failed = failed;
  }
  waiting->changed.notify_all();
}

// The engine thread is released however the closure ends.
struct Finisher {
  std::shared_ptr<Waiting> waiting;
  bool failed = true;
  ~Finisher() { finish(waiting, failed); }
};

// Any value can be thrown, and only objects can be referenced: it is kept in a box.
void remember(Napi::Env env, Job& job, const Napi::Error& error) {
  if (!job.failure.IsEmpty()) return;
  Napi::Object box = Napi::Object::New(env);
  box.Set("value", error.Value());
  job.failure = Napi::Persistent(box);
}

Napi::Array idArray(Napi::Env env, const std::vector<int32_t>& ids) {
  Napi::Array array = Napi::Array::New(env, ids.size());
  for (size_t i = 0; i < ids.size(); ++i) array.Set(static_cast<uint32_t>(i), ids[i]);
  return array;
}

Napi::Float32Array scoreArray(Napi::Env env, const std::vector<float>& scores) {
  Napi::Float32Array array = Napi::Float32Array::New(env, scores.size());
  std::memcpy(array.Data(), scores.data(), scores.size() * sizeof(float));
  return array;
}

}  // namespace

void callUser(Environment& environment, const engine::Engine& engine, uint32_t job,
              std::function<void(Napi::Env, Job&)> call) {
  auto waiting = std::make_shared<Waiting>();
  const bool posted = environment.post([waiting, job, call = std::move(call)](Napi::Env env, Environment& e) {
    Finisher finisher{waiting};
    Job* live = e.job(job);
    if (!live) return;
    try {
      call(env, *live);
      finisher.failed = false;
    } catch (const Napi::Error& error) {
      remember(env, *live, error);
    }
  });
  std::unique_lock lock(waiting->mutex);
  // The event loop may be closing and never run the closure: the stop flag is polled, so that the join cannot hang.
  while (posted && !waiting->done && !engine.stopping()) waiting->changed.wait_for(lock, std::chrono::milliseconds(10));
  if (!waiting->done) throw Error(ErrorKind::Internal, "ABORTED", "the operation was aborted");
  if (waiting->failed) throw Error(ErrorKind::Internal, "CALLBACK_FAILED", "a user function of generate() failed");
}

void bindUserCallbacks(Environment& environment, const engine::Engine& engine, uint32_t job, Job& live,
                       const Napi::Object& options, engine::GenerateRequest& request, int32_t rowsPerSearch) {
  int slots[3] = {-1, -1, -1};
  const char* names[3] = {"userProcessor", "userCriterion", "prefixAllowed"};
  for (int i = 0; i < 3; ++i) {
    if (!options.Get(names[i]).IsFunction()) continue;
    slots[i] = static_cast<int>(live.callbacks.size());
    live.callbacks.push_back(Napi::Persistent(options.Get(names[i]).As<Napi::Function>()));
  }
  const int processor = slots[0], criterion = slots[1], prefix = slots[2];
  if (processor < 0 && criterion < 0 && prefix < 0) return;
  Environment* loop = &environment;
  const engine::Engine* owner = &engine;
  request.bindCallbacks = [=](decode::Options& o, int32_t search) {
    const int32_t base = search * rowsPerSearch;
    if (processor >= 0)
      o.userProcessor = [=](const std::vector<int32_t>& ids, float* scores, int32_t vocab, int32_t beam) {
        auto values = std::make_shared<std::vector<float>>(scores, scores + vocab);
        callUser(*loop, *owner, job, [=](Napi::Env env, Job& running) {
          Napi::Float32Array array = scoreArray(env, *values);
          running.callbacks[static_cast<size_t>(processor)].Call(
              {idArray(env, ids), array, Napi::Number::New(env, base + beam)});
          if (array.ElementLength() == values->size())
            std::memcpy(values->data(), array.Data(), values->size() * sizeof(float));
        });
        std::memcpy(scores, values->data(), values->size() * sizeof(float));
      };
    if (criterion >= 0)
      o.userCriterion = [=](const std::vector<int32_t>& ids, const float* scores, int32_t vocab, int32_t beam) {
        auto values = std::make_shared<std::vector<float>>(scores, scores + vocab);
        auto stop = std::make_shared<bool>(false);
        callUser(*loop, *owner, job, [=](Napi::Env env, Job& running) {
          *stop = running.callbacks[static_cast<size_t>(criterion)]
                      .Call({idArray(env, ids), scoreArray(env, *values), Napi::Number::New(env, base + beam)})
                      .ToBoolean();
        });
        return *stop;
      };
    if (prefix >= 0)
      o.prefixAllowed = [=](int32_t beam, const std::vector<int32_t>& ids) {
        auto allowed = std::make_shared<std::vector<int32_t>>();
        callUser(*loop, *owner, job, [=](Napi::Env env, Job& running) {
          const Napi::Value value = running.callbacks[static_cast<size_t>(prefix)].Call(
              {Napi::Number::New(env, base + beam), idArray(env, ids)});
          try {
            *allowed = asIds(value, "prefixAllowedTokensFn");
          } catch (const Error& error) {
            throw toError(env, error);
          }
        });
        return *allowed;
      };
  };
}

}  // namespace ved::addon
