#include "engine/engine.h"

#include "core/error.h"
#include "core/thread_pool.h"
#include "engine/worker.h"

namespace ved::engine {
namespace {

std::exception_ptr aborted() {
  return std::make_exception_ptr(Error(ErrorKind::Internal, "ABORTED", "the operation was aborted"));
}

}  // namespace

Engine::Engine(spec::ModelSpec spec, TensorTable table, LoadOptions options, std::function<void(Ready)> onReady,
               std::function<void(std::exception_ptr)> onError)
    : options_(std::move(options)),
      thread_([this, spec = std::move(spec), table = std::move(table), onReady = std::move(onReady),
               onError = std::move(onError)]() mutable {
        main(std::move(spec), std::move(table), std::move(onReady), std::move(onError));
      }) {}

Engine::~Engine() {
  requestStop();
  if (thread_.joinable()) thread_.join();
  for (auto& request : generates_) request->onError(aborted());
  for (auto& request : forwards_) request->onError(aborted());
}

void Engine::requestStop() {
  {
    std::lock_guard lock(mutex_);  // orders the flag with the wait below, so the wake-up cannot be missed
    stop_ = true;
  }
  changed_.notify_all();
}

void Engine::wake() { changed_.notify_all(); }

void Engine::generate(std::shared_ptr<GenerateRequest> request) {
  {
    std::lock_guard lock(mutex_);
    generates_.push_back(std::move(request));
  }
  changed_.notify_all();
}

void Engine::forward(std::shared_ptr<ForwardRequest> request) {
  {
    std::lock_guard lock(mutex_);
    forwards_.push_back(std::move(request));
  }
  changed_.notify_all();
}

Memory Engine::memory() const {
  std::lock_guard lock(mutex_);
  return memory_;
}

std::vector<float> Engine::readOwned(int64_t buffer, int64_t first, int64_t count) const {
  const std::lock_guard lock(mutex_);
  const int64_t buffers = owned_ ? static_cast<int64_t>(owned_->size()) : 0;
  if (buffer < 0 || buffer >= buffers)
    throw Error(ErrorKind::Option, "INVALID_ARGUMENT",
                "expected a buffer below " + std::to_string(buffers) + ", got " + std::to_string(buffer));
  const std::vector<float>& values = (*owned_)[static_cast<size_t>(buffer)];
  const int64_t size = static_cast<int64_t>(values.size());
  if (first < 0 || count < 0 || first > size || count > size - first)
    throw Error(ErrorKind::Option, "INVALID_ARGUMENT", "expected a range of " + std::to_string(size) + " elements");
  return {values.begin() + first, values.begin() + first + count};
}

std::string Engine::dumpPlan(const std::string& entry) const {
  std::lock_guard lock(mutex_);
  return plans_[entry == "encode" ? 0 : entry == "cross" ? 1 : entry == "head" ? 3 : 2];
}

// Before any weight is packed: the pool is gone by the time the backend makes its own.
size_t Engine::drawCreated(TensorTable& table) {
  if (table.created.empty()) return 0;
  ThreadPool pool(options_.threads);
  table.owned = drawTensors(table.created, table.seed, pool, [this] { return !stop_.load(); });
  size_t bytes = 0;
  for (const std::vector<float>& values : *table.owned) bytes += values.size() * sizeof(float);
  const std::lock_guard lock(mutex_);
  owned_ = table.owned;
  return bytes;
}

void Engine::main(spec::ModelSpec spec, TensorTable table, std::function<void(Ready)> onReady,
                  std::function<void(std::exception_ptr)> onError) {
  std::unique_ptr<Model> model;
  std::unique_ptr<Worker> worker;
  try {
    table.validate();
    const size_t masters = drawCreated(table);
    model = std::make_unique<Model>(std::move(spec), table, options_, [this] { return !stop_.load(); });
    worker = std::make_unique<Worker>(*model, options_.maxBatch, stop_);
    std::lock_guard lock(mutex_);
    plans_[0] = model->dumpPlan("encode");
    plans_[1] = model->dumpPlan("cross");
    plans_[2] = model->dumpPlan("decode");
    plans_[3] = model->dumpPlan("head");
    memory_.weights = model->weightBytes() + masters;
  } catch (...) {
    onError(std::current_exception());
    return;
  }
  onReady({model->backend().name(), model->backend().threads(), model->backend().preparesPixels()});
  for (;;) {
    std::deque<std::shared_ptr<GenerateRequest>> generates;
    std::deque<std::shared_ptr<ForwardRequest>> forwards;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || !generates_.empty() || !forwards_.empty() || !worker->idle(); });
      generates.swap(generates_);
      forwards.swap(forwards_);
    }
    for (auto& request : generates) worker->submit(std::move(request));
    for (auto& request : forwards) {
      try {
        if (stop_ || request->cancelled) std::rethrow_exception(aborted());
        worker->forward(*request);
      } catch (...) {
        request->onError(std::current_exception());
      }
    }
    if (stop_) {
      worker->failAll(aborted());
      return;
    }
    try {
      worker->round();
    } catch (...) {
      worker->failAll(std::current_exception());
    }
    std::lock_guard lock(mutex_);
    memory_.cache = worker->cacheBytes();
    memory_.workspace = model->workspaceBytes();
  }
}

}  // namespace ved::engine
