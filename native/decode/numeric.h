// Small numeric helpers over one row of scores. Masked entries are -inf; NaN never compares greater and is passed over.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace ved::decode {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Calls visit(i) for every i with x[i] > threshold(); the threshold may rise between calls. Blocks without such an
// entry cost one vectorised comparison pass.
template <class Threshold, class Visit>
void visitAbove(const float* x, int32_t n, Threshold threshold, Visit visit) {
  constexpr int32_t kBlock = 64;
  int32_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    const float t = threshold();
    uint32_t any = 0;
    for (int32_t j = 0; j < kBlock; ++j) any |= static_cast<uint32_t>(x[i + j] > t);
    if (!any) continue;
    for (int32_t j = i; j < i + kBlock; ++j)
      if (x[j] > threshold()) visit(j);
  }
  for (; i < n; ++i)
    if (x[i] > threshold()) visit(i);
}

// Lowest index among equal maxima; -1 when no entry is above -inf.
inline int32_t argmaxOf(std::span<const float> x) {
  int32_t best = -1;
  float value = kMasked;
  visitAbove(
      x.data(), static_cast<int32_t>(x.size()), [&] { return value; },
      [&](int32_t i) {
        value = x[i];
        best = i;
      });
  return best;
}

inline float maxOf(std::span<const float> x) {
  const int32_t i = argmaxOf(x);
  return i < 0 ? kMasked : x[i];
}

// The denominator of softmax: sum of exp(x - max).
struct SoftmaxStats {
  float max;
  double sum;
  double logSumExp() const { return max + std::log(sum); }
};

inline SoftmaxStats softmaxStats(std::span<const float> x) {
  SoftmaxStats stats{maxOf(x), 0};
  for (float value : x)
    if (value != kMasked) stats.sum += std::exp(static_cast<double>(value) - stats.max);
  return stats;
}

// -sum p log p; masked entries count as zero.
inline double entropyOf(std::span<const float> x, const SoftmaxStats& stats) {
  const double logSum = stats.logSumExp();
  double entropy = 0;
  for (float value : x) {
    if (value == kMasked) continue;
    const double logP = value - logSum;
    entropy -= std::exp(logP) * logP;
  }
  return entropy;
}

// The k-th largest value; -inf when fewer than k entries are above -inf. heap is scratch.
inline float kthLargest(std::span<const float> x, int32_t k, std::vector<float>& heap) {
  heap.clear();
  const auto full = [&] { return static_cast<int32_t>(heap.size()) >= k; };
  visitAbove(
      x.data(), static_cast<int32_t>(x.size()), [&] { return full() ? heap.front() : kMasked; },
      [&](int32_t i) {
        if (full()) {
          std::pop_heap(heap.begin(), heap.end(), std::greater<>());
          heap.back() = x[i];
        } else {
          heap.push_back(x[i]);
        }
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
      });
  return full() ? heap.front() : kMasked;
}

// The unmasked entries in descending order of key, ties by lowest index, sorted only as far as asked for.
class LazyOrder {
 public:
  struct Entry {
    float key;
    int32_t index;
  };

  void clear() { entries_.clear(), sorted_ = 0; }
  void add(float key, int32_t index) { entries_.push_back({key, index}); }
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }
  const Entry& operator[](int32_t i) {
    if (i >= sorted_) extend(i);
    return entries_[i];
  }

  void assign(std::span<const float> x) {
    clear();
    for (size_t i = 0; i < x.size(); ++i)
      if (x[i] > kMasked) add(x[i], static_cast<int32_t>(i));
  }

 private:
  static bool before(const Entry& a, const Entry& b) { return a.key > b.key || (a.key == b.key && a.index < b.index); }

  void extend(int32_t i) {
    const int32_t next = std::min(size(), std::max({i + 1, 64, sorted_ * 4}));
    const auto from = entries_.begin() + sorted_, to = entries_.begin() + next;
    if (next < size()) std::nth_element(from, to, entries_.end(), before);
    std::sort(from, to, before);
    sorted_ = next;
  }

  std::vector<Entry> entries_;
  int32_t sorted_ = 0;
};

inline void maskAll(std::span<float> x) { std::fill(x.begin(), x.end(), kMasked); }

}  // namespace ved::decode
