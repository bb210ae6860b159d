// A block of a backend's memory that grows on demand and is freed with the object.
#pragma once
#include <vector>

#include "ops/backend.h"

namespace ved::ops {

class Buffer {
 public:
  explicit Buffer(Backend& backend) : backend_(&backend) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_) backend_->release(data_);
  }
  // At least `floats` of memory; what it held is lost when it has to grow.
  float* reserve(size_t floats) {
    if (floats <= size_) return data_;
    if (data_) backend_->release(data_);
    data_ = nullptr;
    size_ = 0;
    data_ = backend_->allocate(floats);
    size_ = floats;
    return data_;
  }
  float* data() const { return data_; }
  size_t size() const { return size_; }  // floats
  std::vector<float> toHost(size_t floats) {
    std::vector<float> host(floats);
    backend_->download(host.data(), data_, floats);
    return host;
  }

 private:
  Backend* backend_;
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ved::ops
