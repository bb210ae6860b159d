#include "engine/cache.h"

#include "core/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace ved::engine {

uint64_t physicalMemory() {
#ifdef _WIN32
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
#else
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
#endif
}

namespace {

[[noreturn]] void refuse(int64_t slots, int64_t capacity, double bytes, const std::string& expected) {
  throw Error(ErrorKind::OutOfMemory, "CACHE_TOO_LARGE",
              "a cache of " + std::to_string(slots) + " rows of " + std::to_string(capacity) + " positions needs " +
                  std::to_string(static_cast<uint64_t>(bytes / 1048576.0)) + " MiB, expected at most " + expected +
                  "; lower maxBatch");
}

}  // namespace

SlotCache::SlotCache(ops::Backend& backend, std::vector<int64_t> innerWidths, int64_t slots, int64_t capacity,
                     ops::CacheType type)
    : slots_(slots) {
  const int64_t unit = ops::cacheElementBytes(type);
  view_.type = type;
  view_.capacity = capacity;
  double total = 0;
  for (int64_t width : innerWidths)
    total += 2.0 * static_cast<double>(unit * width) * static_cast<double>(slots) * static_cast<double>(capacity);
  const uint64_t memory = backend.hostMemory() ? physicalMemory() : 0;
  if (memory && total > static_cast<double>(memory))
    refuse(slots, capacity, total, "the machine's " + std::to_string(memory / 1048576) + " MiB");
  for (int64_t width : innerWidths) {
    const size_t bytes = static_cast<size_t>(width * slots * capacity * unit);
    for (int i = 0; i < 2; ++i) {
      buffers_.push_back(std::make_unique<ops::Buffer>(backend));
      try {
        (i == 0 ? view_.keys : view_.values)
            .push_back(buffers_.back()->reserve((bytes + sizeof(float) - 1) / sizeof(float)));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::OutOfMemory) throw;
        refuse(slots, capacity, total, "what is free");
      }
      bytes_ += bytes;
    }
  }
}

}  // namespace ved::engine
