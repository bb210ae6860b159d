// The CUDA library with a count of the calls that may not happen for every token, and with faults on demand.
#pragma once
#include <string>

#include "ops/cuda/api.h"

namespace ved::test {

struct Calls {
  int64_t allocations = 0;  // of device and of page-locked memory, graphs and events
  int64_t releases = 0;
  int64_t waits = 0;   // for everything that was launched
  int64_t copies = 0;  // up, and those down that wait
  int64_t graphs = 0;  // launched
  int64_t fetches = 0, awaited = 0;
  int64_t ops = 0;  // launched one by one; of linear maps alone
};

// Counts and faults are of one test at a time.
class CountingApi {
 public:
  explicit CountingApi(const cuda::Api& real) : api_(real) {
    real_ = &real;
    calls() = {};
    failAfter(-1, cuda::kOk);
    countMemory();
    countRuns();
  }
  const cuda::Api& api() const { return api_; }
  static Calls& calls() {
    static Calls value;
    return value;
  }
  // The n-th allocation (n > 0: of those to come) or graph launch from now fails; -1: none does.
  static void failAfter(int64_t calls, cuda::Status with) { faultIn() = calls, fault() = with; }

 private:
  static int64_t& faultIn() {
    static int64_t value = -1;
    return value;
  }
  static cuda::Status& fault() {
    static cuda::Status value = cuda::kOk;
    return value;
  }
  static bool faulty(cuda::Status kind) { return fault() == kind && faultIn() >= 0 && faultIn()-- == 0; }

  void countMemory() {
    api_.allocate = [](cuda::Context* c, size_t bytes, void** out) {
      ++calls().allocations;
      return faulty(cuda::kOutOfMemory) ? cuda::kOutOfMemory : real_->allocate(c, bytes, out);
    };
    api_.release = [](cuda::Context* c, void* p) { ++calls().releases, real_->release(c, p); };
    api_.allocateHost = [](cuda::Context* c, size_t bytes, void** out) {
      ++calls().allocations;
      return real_->allocateHost(c, bytes, out);
    };
    api_.releaseHost = [](cuda::Context* c, void* p) { ++calls().releases, real_->releaseHost(c, p); };
    api_.createEvent = [](cuda::Context* c, void** out) {
      ++calls().allocations;
      return real_->createEvent(c, out);
    };
    api_.releaseEvent = [](cuda::Context* c, void* event) { ++calls().releases, real_->releaseEvent(c, event); };
    api_.upload = [](cuda::Context* c, void* to, const void* from, size_t bytes) {
      ++calls().copies;
      return real_->upload(c, to, from, bytes);
    };
    api_.download = [](cuda::Context* c, void* to, const void* from, size_t bytes) {
      ++calls().copies;
      return real_->download(c, to, from, bytes);
    };
  }
  void countRuns() {
    api_.synchronize = [](cuda::Context* c) {
      ++calls().waits;
      return real_->synchronize(c);
    };
    api_.fetch = [](cuda::Context* c, void* to, const void* from, size_t bytes, void* event) {
      ++calls().fetches;
      return real_->fetch(c, to, from, bytes, event);
    };
    api_.awaitEvent = [](cuda::Context* c, void* event) {
      ++calls().awaited;
      return real_->awaitEvent(c, event);
    };
    api_.endCapture = [](cuda::Context* c, void** graph) {
      ++calls().allocations;
      return real_->endCapture(c, graph);
    };
    api_.launchGraph = [](cuda::Context* c, void* graph) {
      ++calls().graphs;
      return faulty(cuda::kFailed) ? cuda::kFailed : real_->launchGraph(c, graph);
    };
    api_.linear = [](cuda::Context* c, const cuda::LinearJob* job) {
      ++calls().ops;
      return real_->linear(c, job);
    };
  }

  static inline const cuda::Api* real_ = nullptr;
  cuda::Api api_;
};

}  // namespace ved::test
