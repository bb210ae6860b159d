#include "core/tensor_table.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "core/error.h"

#ifdef _WIN32
#include <io.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
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

// IEEE 754 binary16: a float32 with the same fields is too small by 2^112, subnormals included; infinities and NaN keep
// their payload. Without a branch, so that loops of it are vectorised.
float halfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t fields = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(fields) * 0x1p112f);
  const uint32_t special = fields >= 0x0f800000u ? ~0u : 0u;
  return std::bit_cast<float>(sign | ((fields | 0x7f800000u) & special) | (scaled & ~special));
}

namespace {

// A file read at positions, from several threads at once.
class OpenFile {
 public:
  explicit OpenFile(const SourceFile& source) : path_(source.path) {
#ifdef _WIN32
    handle_ = std::fopen(path_.c_str(), "rb");
    if (!handle_) fail("WEIGHTS_READ_FAILED", "cannot open " + path_);
    std::setvbuf(handle_, nullptr, _IONBF, 0);
    _fseeki64(handle_, 0, SEEK_END);
    const int64_t size = _ftelli64(handle_);
#else
    handle_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (handle_ < 0) fail("WEIGHTS_READ_FAILED", "cannot open " + path_);
    struct stat status {};
    const int64_t size = ::fstat(handle_, &status) == 0 ? static_cast<int64_t>(status.st_size) : -1;
#endif
    if (size == source.size) return;
    close();
    fail("WEIGHTS_CHANGED", path_ + " changed while it was being loaded: expected " + std::to_string(source.size) +
                                " bytes, got " + std::to_string(size));
  }
  ~OpenFile() { close(); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // False when fewer bytes than asked for are there.
  bool read(int64_t offset, void* out, size_t bytes) {
#ifdef _WIN32
    const std::lock_guard<std::mutex> lock(mutex_);
    return _fseeki64(handle_, offset, SEEK_SET) == 0 && std::fread(out, 1, bytes, handle_) == bytes;
#else
    auto* to = static_cast<unsigned char*>(out);
    while (bytes > 0) {
      const ssize_t got = ::pread(handle_, to, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got, offset += got, bytes -= static_cast<size_t>(got);
    }
    return true;
#endif
  }

 private:
  void close() {
#ifdef _WIN32
    std::fclose(handle_);
#else
    ::close(handle_);
#endif
  }

  std::string path_;
#ifdef _WIN32
  std::FILE* handle_;
  std::mutex mutex_;
#else
  int handle_;
#endif
};

// count 16-bit elements at the end of `out` -> float32 in all of it. Element i overwrites raw elements up to i only.
void widen(DType dtype, int64_t count, float* out) {
  const auto* raw = reinterpret_cast<const unsigned char*>(out) + 2 * count;
  constexpr int64_t kBlock = 512;
  uint16_t bits[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t now = std::min(kBlock, count - begin);
    std::memcpy(bits, raw + 2 * begin, static_cast<size_t>(2 * now));
    if (dtype == DType::F16)
      for (int64_t i = 0; i < now; ++i) out[begin + i] = halfToFloat(bits[i]);
    else
      for (int64_t i = 0; i < now; ++i) out[begin + i] = std::bit_cast<float>(static_cast<uint32_t>(bits[i]) << 16);
  }
}

}  // namespace

struct TensorReader::Impl {
  TensorTable table;
  std::mutex mutex;  // of the list of files
  std::vector<std::unique_ptr<OpenFile>> files;

  void readMemory(const TensorPlace& t, int64_t first, int64_t count, float* out) const {
    if (!table.owned) fail("TENSOR_NOT_DRAWN", "tensor " + t.name + ": its values have not been drawn");
    const std::vector<float>& values = (*table.owned)[static_cast<size_t>(std::get<MemoryBuffer>(t.where).buffer)];
    std::copy_n(values.begin() + first, count, out);
  }

  void readFile(const TensorPlace& t, int64_t first, int64_t count, float* out) {
    const FileRange& range = std::get<FileRange>(t.where);
    const int64_t unit = dtypeSize(t.dtype);
    auto* raw = reinterpret_cast<unsigned char*>(out) + (4 - unit) * count;
    if (!open(range.file).read(range.offset + first * unit, raw, static_cast<size_t>(unit * count)))
      fail("WEIGHTS_READ_FAILED", "tensor " + t.name + ": the file ended early");
    if (t.dtype != DType::F32) widen(t.dtype, count, out);
  }

  OpenFile& open(int32_t file) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::unique_ptr<OpenFile>& opened = files[static_cast<size_t>(file)];
    if (!opened) opened = std::make_unique<OpenFile>(table.files[static_cast<size_t>(file)]);
    return *opened;
  }
};

TensorReader::TensorReader(const TensorTable& table) : impl_(std::make_unique<Impl>()) {
  table.validate();
  impl_->table = table;
  impl_->files.resize(table.files.size());
}

TensorReader::~TensorReader() = default;

const TensorPlace& TensorReader::place(int32_t tensor) const {
  if (tensor < 0 || static_cast<size_t>(tensor) >= impl_->table.tensors.size())
    fail("TENSOR_INDEX", "expected a tensor index below " + std::to_string(impl_->table.tensors.size()) + ", got " +
                             std::to_string(tensor));
  return impl_->table.tensors[static_cast<size_t>(tensor)];
}

void TensorReader::read(int32_t tensor, int64_t first, int64_t count, float* out) const {
  const TensorPlace& t = place(tensor);
  if (first < 0 || count < 0 || first > t.elements() || count > t.elements() - first)
    fail("TENSOR_RANGE", "tensor " + t.name + ": range outside its " + std::to_string(t.elements()) + " elements");
  if (std::holds_alternative<MemoryBuffer>(t.where))
    impl_->readMemory(t, first, count, out);
  else
    impl_->readFile(t, first, count, out);
}

std::vector<float> TensorReader::readAll(int32_t tensor) const {
  std::vector<float> values(static_cast<size_t>(place(tensor).elements()));
  read(tensor, 0, static_cast<int64_t>(values.size()), values.data());
  return values;
}

}  // namespace ved
