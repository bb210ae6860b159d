#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "core/processors.h"
#include "core/thread_pool.h"
#include "harness.h"

using ved::ThreadPool;

VED_TEST(thread_pool_runs_every_index_once) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK_EQ(pool.threads(), threads);
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
      std::atomic<bool> workerInRange{true};
      pool.parallelFor(count, [&](int64_t i, int worker) {
        ++seen[static_cast<size_t>(i)];
        if (worker < 0 || worker >= threads) workerInRange = false;
      });
      for (auto& n : seen) CHECK_EQ(n.load(), 1);
      CHECK(workerInRange.load());
    }
  }
}

VED_TEST(thread_pool_gives_everyone_a_range) {
  constexpr int kThreads = 3;
  ThreadPool pool(kThreads);
  std::vector<int64_t> firsts(kThreads, -1);
  std::atomic<int> begun{0};
  pool.parallelFor(3 * 10 + 1, [&](int64_t i, int worker) {
    int64_t& first = firsts[static_cast<size_t>(worker)];
    if (first >= 0) return;
    first = i;
    ++begun;
    while (begun.load() < kThreads) std::this_thread::yield();  // so that nobody is through with another's
  });
  for (int64_t i = 0; i < kThreads; ++i) CHECK_EQ(firsts[static_cast<size_t>(i)], 31 * i / kThreads);
}

// One worker is held up: the others take its range but for the index it holds.
VED_TEST(thread_pool_ranges_are_helped_out) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  pool.parallelFor(100, [&](int64_t i, int) {
    if (i == 50)
      while (done.load() < 99) std::this_thread::yield();
    ++done;
  });
  CHECK_EQ(done.load(), 100);
}

// Many tiny loops: a worker that comes late for one must not run another's closed job, or an index twice.
VED_TEST(thread_pool_many_short_loops) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int round = 0; round < 20000; ++round) {
    const int64_t count = 2 + round % 9;
    int64_t slots[16] = {};
    pool.parallelFor(count, [&](int64_t i, int) { slots[i] += i + 1; });
    for (int64_t i = 0; i < count; ++i) total += slots[i] - (i + 1);
  }
  CHECK_EQ(total, int64_t{0});
}

VED_TEST(thread_pool_wakes_after_sleeping) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> sum{0};
    pool.parallelFor(10, [&](int64_t i, int) { sum += static_cast<int>(i); });
    CHECK_EQ(sum.load(), 45);
  }
}

VED_TEST(thread_pool_rethrows_and_goes_on) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      CHECK_THROWS(pool.parallelFor(50, [&](int64_t i, int) {
        if (i % 7 == 3) throw std::runtime_error("task");
      }));
      std::atomic<int> ran{0};
      pool.parallelFor(9, [&](int64_t, int) { ++ran; });
      CHECK_EQ(ran.load(), 9);
    }
  }
}

VED_TEST(thread_pool_default_size) {
  ThreadPool pool(0);
  CHECK(pool.threads() >= 1 && pool.threads() <= 16);
  CHECK(pool.threads() <= ved::usableProcessors());
}
