#include "addon/environment.h"

#include <new>

namespace ved::addon {
namespace {

const char* kindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Config:
      return "config";
    case ErrorKind::Weights:
      return "weights";
    case ErrorKind::Option:
      return "option";
    case ErrorKind::Unsupported:
      return "unsupported";
    case ErrorKind::Image:
      return "image";
    case ErrorKind::Device:
      return "device";
    case ErrorKind::OutOfMemory:
      return "memory";
    case ErrorKind::Disposed:
      return "disposed";
    case ErrorKind::Internal:
      return "internal";
  }
  return "internal";
}

Napi::Error makeError(Napi::Env env, const std::string& message, const std::string& code, const char* kind) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  error.Set("kind", Napi::String::New(env, kind));
  return error;
}

}  // namespace

Napi::Error toError(Napi::Env env, const Error& error) {
  return makeError(env, error.what(), error.code(), kindName(error.kind()));
}

Napi::Error toError(Napi::Env env, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return toError(env, e);
  } catch (const std::bad_alloc&) {
    return makeError(env, "memory ran out", "OUT_OF_MEMORY", "memory");
  } catch (const std::exception& e) {
    return makeError(env, e.what(), "INTERNAL", "internal");
  } catch (...) {
    return makeError(env, "unknown native error", "INTERNAL", "internal");
  }
}

void runEvent(Napi::Env env, Napi::Function, Environment* environment, Event* raw) {
  const std::unique_ptr<Event> event(raw);
  if (env == nullptr || environment == nullptr || environment->closed()) return;  // draining at teardown: only free
  try {
    const Napi::HandleScope scope(env);
    event->run(env, *environment);
  } catch (const Napi::Error&) {
    // A worker is being terminated: no JavaScript can run, and nobody is left to tell.
  } catch (const std::exception&) {
    // Memory ran out outside of any job's own handling: nothing may leave through Node's C code.
  }
}

Environment::Environment(Napi::Env env) : env_(env) {
  loop_ = Loop::New(env, "vision-encoder-decoder", 0, 1, this);
  loop_.Unref(env);  // an idle addon must not keep the process alive
  // Hooks run last-in first-out: this one, added after the thread-safe function's own, joins all threads before it.
  napi_add_env_cleanup_hook(env, &Environment::teardown, this);
}

void Environment::teardown(void* raw) {
  auto* self = static_cast<Environment*>(raw);
  self->closed_ = true;
  for (engine::Engine* engine : self->engines_) engine->requestStop();  // all stop at once, then each is joined
  for (std::unique_ptr<engine::Engine>* owner : self->owners_) owner->reset();
  for (Reaper& reaper : self->reapers_) reaper.thread.join();
  self->reapers_.clear();
  self->engines_.clear();
}

uint32_t Environment::addJob(std::unique_ptr<Job> job) {
  if (jobs_.empty()) loop_.Ref(env_);
  const uint32_t id = nextJob_++;
  jobs_.emplace(id, std::move(job));
  return id;
}

Job* Environment::job(uint32_t id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : found->second.get();
}

std::unique_ptr<Job> Environment::takeJob(uint32_t id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return nullptr;
  std::unique_ptr<Job> job = std::move(found->second);
  jobs_.erase(found);
  if (jobs_.empty()) loop_.Unref(env_);
  return job;
}

void Environment::cancelJob(uint32_t id) {
  Job* found = job(id);
  if (!found || !found->cancel) return;
  found->cancelled = true;
  found->cancel();
}

bool Environment::post(std::function<void(Napi::Env, Environment&)> run) {
  if (closed_) return false;
  auto* event = new Event{std::move(run)};
  if (loop_.NonBlockingCall(event) == napi_ok) return true;
  delete event;
  return false;
}

void Environment::destroy(std::unique_ptr<engine::Engine> engine, std::function<void(Napi::Env, Environment&)> done) {
  reapers_.remove_if([](Reaper& reaper) {
    if (!reaper.finished->load()) return false;
    reaper.thread.join();
    return true;
  });
  engines_.erase(engine.get());
  engine->requestStop();
  auto finished = std::make_shared<std::atomic<bool>>(false);
  std::thread thread([this, finished, engine = std::move(engine), done = std::move(done)]() mutable {
    engine.reset();  // joins the engine thread off the event loop
    post(std::move(done));
    finished->store(true);
  });
  reapers_.push_back({std::move(thread), std::move(finished)});
}

void Environment::destroyNow(std::unique_ptr<engine::Engine> engine) {
  engines_.erase(engine.get());
  engine.reset();
}

}  // namespace ved::addon
