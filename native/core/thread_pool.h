// Workers for data-parallel loops. The calling thread takes part. Everyone begins with a range of indices of its own,
// so that it walks through memory in one direction, and goes on with what is left of the others', so that a descheduled
// worker delays only the index it holds. Workers spin briefly between loops, then sleep.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ved {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // 0: chosen from the machine
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(index, worker) for every index in [0, count), worker in [0, threads()). One loop at a time; not from
  // inside a body. The first exception stops the hand-out of further indices and is rethrown here.
  template <class Body>
  void parallelFor(int64_t count, Body&& body) {
    if (count <= 1 || workers_.empty()) {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    using Plain = std::remove_reference_t<Body>;
    run(
        count, [](void* context, int64_t index, int worker) { (*static_cast<Plain*>(context))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  using Call = void (*)(void* context, int64_t index, int worker);
  void run(int64_t count, Call call, void* context);
  void work(int worker) noexcept;
  void giveUp(std::exception_ptr error) noexcept;
  void workerMain(int worker) noexcept;
  uint32_t waitForChange(uint32_t seen) noexcept;
  void stop() noexcept;

  // The loop in progress; written only while the gate is closed and nobody is inside.
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
  std::mutex errorMutex_;
  std::unique_ptr<Range[]> ranges_;  // by worker

  alignas(64) std::atomic<uint32_t> gate_{kClosed};  // closed bit + number of workers inside
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;

  static constexpr uint32_t kClosed = 0x80000000u;
};

}  // namespace ved
