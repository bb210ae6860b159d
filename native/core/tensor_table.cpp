#include "core/tensor_table.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "core/error.h"

#ifdef _WIN32
#include <io.h>
#define VED_FSEEK _fseeki64
#define VED_FTELL _ftelli64
#else
#define VED_FSEEK fseeko
#define VED_FTELL ftello
#endif

namespace ved {
namespace {

int64_t dtypeSize(DType dtype) { return dtype == DType::F32 ? 4 : 2; }

[[noreturn]] void fail(const std::string& code, const std::string& message) {
  throw Error(ErrorKind::Weights, code, message);
}

int64_t checkedElements(const TensorPlace& place) {
  int64_t count = 1;
  for (int64_t dim : place.shape) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count))
      fail("TENSOR_SHAPE_OVERFLOW", "tensor " + place.name + ": its shape does not fit 64 bits");
  }
  return count;
}

void checkRange(const TensorTable& table, const TensorPlace& t, const FileRange& range) {
  if (range.file < 0 || static_cast<size_t>(range.file) >= table.files.size())
    fail("TENSOR_FILE_INDEX", "tensor " + t.name + ": names no file of the table");
  const int64_t size = table.files[static_cast<size_t>(range.file)].size;
  if (range.offset < 0 || t.byteLength < 0 || range.offset > size || t.byteLength > size - range.offset)
    fail("TENSOR_OUT_OF_BOUNDS", "tensor " + t.name + ": lies outside its file of " + std::to_string(size) + " bytes");
}

void checkBuffer(const TensorTable& table, const TensorPlace& t, const MemoryBuffer& memory) {
  if (memory.buffer < 0 || static_cast<size_t>(memory.buffer) >= table.created.size())
    fail("TENSOR_BUFFER_INDEX", "tensor " + t.name + ": names no buffer of the table");
  const size_t buffer = static_cast<size_t>(memory.buffer);
  if (t.dtype != DType::F32) fail("TENSOR_BUFFER_DTYPE", "tensor " + t.name + ": buffers in memory hold float32");
  if (table.created[buffer].shape != t.shape)
    fail("TENSOR_BUFFER_SHAPE", "tensor " + t.name + ": its buffer has another shape");
  const int64_t held = table.owned ? static_cast<int64_t>((*table.owned)[buffer].size()) : t.elements();
  if (held != t.elements())
    fail("TENSOR_OUT_OF_BOUNDS", "tensor " + t.name + ": expected a buffer of " + std::to_string(t.elements()) +
                                     " elements, got " + std::to_string(held));
}

}  // namespace

int64_t TensorPlace::elements() const {
  int64_t count = 1;
  for (int64_t dim : shape) count *= dim;
  return count;
}

void TensorTable::validate() const {
  validateNewTensors(created);
  if (owned && owned->size() != created.size())
    fail("TENSOR_BUFFERS",
         "expected " + std::to_string(created.size()) + " buffers, got " + std::to_string(owned->size()));
  for (const TensorPlace& t : tensors) {
    int64_t bytes = 0;
    if (__builtin_mul_overflow(checkedElements(t), dtypeSize(t.dtype), &bytes) || bytes != t.byteLength)
      fail("TENSOR_SIZE_MISMATCH", "tensor " + t.name + ": expected " + std::to_string(bytes) +
                                       " bytes from its shape, got " + std::to_string(t.byteLength));
    if (const auto* range = std::get_if<FileRange>(&t.where))
      checkRange(*this, t, *range);
    else
      checkBuffer(*this, t, std::get<MemoryBuffer>(t.where));
  }
}

// IEEE 754 binary16: subnormals are scaled by a float multiplication, infinities and NaN keep their payload.
float halfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

struct TensorReader::Impl {
  TensorTable table;
  std::vector<std::FILE*> handles;
  std::vector<unsigned char> chunk;

  void readMemory(const TensorPlace& t, int64_t first, int64_t count, float* out) const {
    if (!table.owned) fail("TENSOR_NOT_DRAWN", "tensor " + t.name + ": its values have not been drawn");
    const std::vector<float>& values = (*table.owned)[static_cast<size_t>(std::get<MemoryBuffer>(t.where).buffer)];
    std::copy_n(values.begin() + first, count, out);
  }

  void readFile(const TensorPlace& t, int64_t first, int64_t count, float* out);

  std::FILE* open(int32_t file) {
    std::FILE*& handle = handles[static_cast<size_t>(file)];
    if (handle) return handle;
    const SourceFile& source = table.files[static_cast<size_t>(file)];
    handle = std::fopen(source.path.c_str(), "rb");
    if (!handle) fail("WEIGHTS_READ_FAILED", "cannot open " + source.path);
    std::setvbuf(handle, nullptr, _IONBF, 0);
    VED_FSEEK(handle, 0, SEEK_END);
    const int64_t size = VED_FTELL(handle);
    if (size != source.size)
      fail("WEIGHTS_CHANGED", source.path + " changed while it was being loaded: expected " +
                                  std::to_string(source.size) + " bytes, got " + std::to_string(size));
    return handle;
  }
};

TensorReader::TensorReader(const TensorTable& table) : impl_(std::make_unique<Impl>()) {
  table.validate();
  impl_->table = table;
  impl_->handles.resize(table.files.size(), nullptr);
}

TensorReader::~TensorReader() {
  for (std::FILE* handle : impl_->handles)
    if (handle) std::fclose(handle);
}

const TensorPlace& TensorReader::place(int32_t tensor) const {
  if (tensor < 0 || static_cast<size_t>(tensor) >= impl_->table.tensors.size())
    fail("TENSOR_INDEX", "expected a tensor index below " + std::to_string(impl_->table.tensors.size()) + ", got " +
                             std::to_string(tensor));
  return impl_->table.tensors[static_cast<size_t>(tensor)];
}

void TensorReader::read(int32_t tensor, int64_t first, int64_t count, float* out) {
  const TensorPlace& t = place(tensor);
  if (first < 0 || count < 0 || first > t.elements() || count > t.elements() - first)
    fail("TENSOR_RANGE", "tensor " + t.name + ": range outside its " + std::to_string(t.elements()) + " elements");
  if (std::holds_alternative<MemoryBuffer>(t.where))
    impl_->readMemory(t, first, count, out);
  else
    impl_->readFile(t, first, count, out);
}

void TensorReader::Impl::readFile(const TensorPlace& t, int64_t first, int64_t count, float* out) {
  const FileRange& range = std::get<FileRange>(t.where);
  std::FILE* handle = open(range.file);
  const int64_t unit = dtypeSize(t.dtype);
  constexpr int64_t kChunkBytes = 1 << 20;
  chunk.resize(kChunkBytes);
  if (VED_FSEEK(handle, range.offset + first * unit, SEEK_SET) != 0)
    fail("WEIGHTS_READ_FAILED", "cannot seek in the file of " + t.name);
  while (count > 0) {
    const int64_t now = std::min(count, kChunkBytes / unit);
    unsigned char* raw = t.dtype == DType::F32 ? reinterpret_cast<unsigned char*>(out) : chunk.data();
    if (std::fread(raw, static_cast<size_t>(unit), static_cast<size_t>(now), handle) != static_cast<size_t>(now))
      fail("WEIGHTS_READ_FAILED", "tensor " + t.name + ": the file ended early");
    for (int64_t i = 0; t.dtype != DType::F32 && i < now; ++i) {
      uint16_t bits;
      std::memcpy(&bits, raw + 2 * i, 2);
      out[i] = t.dtype == DType::F16 ? halfToFloat(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    }
    out += now;
    count -= now;
  }
}

std::vector<float> TensorReader::readAll(int32_t tensor) {
  std::vector<float> values(static_cast<size_t>(place(tensor).elements()));
  read(tensor, 0, static_cast<int64_t>(values.size()), values.data());
  return values;
}

}  // namespace ved
