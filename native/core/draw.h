// Tensors that no checkpoint holds: values as a function of (seed, tensor, element), so that neither the order nor the
// number of threads matters.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ved {

class ThreadPool;

// Independent values. TruncatedNormal is cut at low and high, which are absolute; Values are not drawn but given.
struct Distribution {
  enum class Kind : uint8_t { Constant, Normal, TruncatedNormal, Uniform, Values };
  Kind kind = Kind::Constant;
  double value = 0;          // Constant
  double std = 0;            // Normal, TruncatedNormal
  double low = 0, high = 0;  // TruncatedNormal, Uniform
  std::vector<float> values;
};

struct NewTensor {
  std::string name;  // part of the key: two tensors of one seed do not share values
  std::vector<int64_t> shape;
  Distribution distribution;
  int64_t zeroRow = -1;  // a row of the first dimension that is 0; -1: none
};

using OwnedTensors = std::vector<std::vector<float>>;

// Throws ved::Error (Weights) unless every shape, number and row is usable.
void validateNewTensors(const std::vector<NewTensor>& tensors);

// One buffer per tensor. keepGoing is polled; when it returns false, throws ved::Error code ABORTED.
std::shared_ptr<const OwnedTensors> drawTensors(const std::vector<NewTensor>& tensors, uint64_t seed, ThreadPool& pool,
                                                const std::function<bool()>& keepGoing);

}  // namespace ved
