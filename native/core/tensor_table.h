// Where a model's tensors lie, and the only way to read them: ranges of files, by positioned reads in bounded chunks,
// and buffers in memory. No memory map, so a file that shrinks under us is an error and never a SIGBUS.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/draw.h"

namespace ved {

enum class DType : uint8_t { F32, F16, BF16 };

struct SourceFile {
  std::string path;
  int64_t size = 0;
};

struct FileRange {
  int32_t file = 0;
  int64_t offset = 0;
};

// A whole buffer of float32: entry `buffer` of the table's new tensors.
struct MemoryBuffer {
  int32_t buffer = 0;
};

struct TensorPlace {
  std::string name;
  std::variant<FileRange, MemoryBuffer> where;
  int64_t byteLength = 0;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  int64_t elements() const;
};

struct TensorTable {
  std::vector<SourceFile> files;
  std::vector<TensorPlace> tensors;
  std::vector<NewTensor> created;
  uint64_t seed = 0;                          // of the created tensors
  std::shared_ptr<const OwnedTensors> owned;  // their values, once drawn: one buffer per entry of `created`
  // Proves every place: inside its file, or a buffer of its own size; dtype x shape == bytes, no overflow. Throws
  // ved::Error (Weights).
  void validate() const;
};

class TensorReader {
 public:
  explicit TensorReader(const TensorTable& table);
  ~TensorReader();
  TensorReader(const TensorReader&) = delete;
  TensorReader& operator=(const TensorReader&) = delete;

  const TensorPlace& place(int32_t tensor) const;
  // Elements [first, first + count) of the tensor as float32. From several threads at once. Throws ved::Error (Weights)
  // on a short or failed read.
  void read(int32_t tensor, int64_t first, int64_t count, float* out) const;
  std::vector<float> readAll(int32_t tensor) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

float halfToFloat(uint16_t bits);

}  // namespace ved
