#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/processors.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace ved {

namespace {

constexpr int kMaxDefaultThreads = 16;
// Longer than the gap between two kernels of a decode step, shorter than anything a user would notice as load.
constexpr auto kSpin = std::chrono::microseconds(50);

void pause() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  __asm__ volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = std::min(usableProcessors(), kMaxDefaultThreads);
  ranges_ = std::make_unique<Range[]>(static_cast<size_t>(threads));
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { workerMain(i); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  stopping_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run(int64_t count, Call call, void* context) {
  call_ = call;
  context_ = context;
  error_ = nullptr;
  for (int64_t i = 0, n = threads(); i < n; ++i) {
    ranges_[static_cast<size_t>(i)].next.store(count * i / n, std::memory_order_relaxed);
    ranges_[static_cast<size_t>(i)].end = count * (i + 1) / n;
  }
  gate_.fetch_and(~kClosed, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(0);
  // No index is left: late workers are turned away instead of being waited for.
  gate_.fetch_or(kClosed, std::memory_order_acq_rel);
  for (int spins = 0; (gate_.load(std::memory_order_acquire) & ~kClosed) != 0; ++spins) {
    if (spins < 4096)
      pause();
    else
      std::this_thread::yield();
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::work(int worker) noexcept {
  const int count = threads();
  for (int i = 0; i < count; ++i) {
    Range& range = ranges_[static_cast<size_t>((worker + i) % count)];
    for (;;) {
      const int64_t index = range.next.fetch_add(1, std::memory_order_relaxed);
      if (index >= range.end) break;
      try {
        call_(context_, index, worker);
      } catch (...) {
        giveUp(std::current_exception());
      }
    }
  }
}

void ThreadPool::giveUp(std::exception_ptr error) noexcept {
  const std::lock_guard<std::mutex> lock(errorMutex_);
  if (!error_) error_ = std::move(error);
  for (int i = 0; i < threads(); ++i) {
    Range& range = ranges_[static_cast<size_t>(i)];
    range.next.store(range.end, std::memory_order_relaxed);
  }
}

uint32_t ThreadPool::waitForChange(uint32_t seen) noexcept {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      const uint32_t now = generation_.load(std::memory_order_acquire);
      if (now != seen) return now;
      pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  generation_.wait(seen, std::memory_order_acquire);
  return generation_.load(std::memory_order_acquire);
}

void ThreadPool::workerMain(int worker) noexcept {
  uint32_t seen = 0;
  for (;;) {
    seen = waitForChange(seen);
    if (stopping_.load(std::memory_order_acquire)) return;
    const uint32_t gate = gate_.fetch_add(1, std::memory_order_acq_rel);
    if (!(gate & kClosed)) work(worker);
    gate_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

}  // namespace ved
