#include "ops/cuda/loader.h"

#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "ops/cuda/cublas_search.h"
#include "ops/cuda/shared_object.h"

#ifndef VED_VERSION
#define VED_VERSION "unknown"
#endif

namespace ved::cuda {
namespace {

#if defined(_WIN32)
constexpr const char* kName = "ved_cuda.dll";
#elif defined(__APPLE__)
constexpr const char* kName = "libved_cuda.dylib";
#else
constexpr const char* kName = "libved_cuda.so";
#endif

GetApi findEntry(const std::string& file, std::string& reason) {
  void* handle = openObject(file, reason);
  if (!handle) return nullptr;
  void* symbol = findSymbol(handle, kEntry);
  if (!symbol) reason = file + ": not a library of this package (it has no " + kEntry + ")";
  return reinterpret_cast<GetApi>(symbol);
}

std::string unusableDriver(const Probe& probe) {
  // Without any driver the runtime reports "insufficient", too.
  if (probe.driverVersion == 0) return "no NVIDIA driver";
  if (probe.driverVersion < kMinimumDriver)
    return "the NVIDIA driver is too old: it supports CUDA " + cudaVersion(probe.driverVersion) + ", expected " +
           cudaVersion(kMinimumDriver) + " or newer (driver 580 or newer)";
  if (probe.deviceCount == 0 && (probe.error == 0 || probe.error == 100)) return "no CUDA device";
  return std::string("the driver reports ") + probe.message;
}

}  // namespace

std::filesystem::path libraryFolder() {
#ifdef _WIN32
  HMODULE module = nullptr;
  wchar_t name[32768];
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                     reinterpret_cast<LPCWSTR>(&libraryCandidates), &module);
  const DWORD length = GetModuleFileNameW(module, name, 32768);
  return length ? std::filesystem::path(name).parent_path() : std::filesystem::path();
#else
  Dl_info info{};
  if (!dladdr(reinterpret_cast<const void*>(&libraryCandidates), &info) || !info.dli_fname) return {};
  std::error_code ignored;
  return std::filesystem::absolute(info.dli_fname, ignored).parent_path();
#endif
}

std::string cudaVersion(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::vector<std::string> libraryCandidates() {
  if (const char* file = std::getenv("VED_CUDA_LIB"); file && *file) return {file};
  return {(libraryFolder() / kName).string()};
}

Library openLibrary(const std::string& file) {
  Library result;
  std::error_code error;
  if (!std::filesystem::is_regular_file(std::filesystem::path(file), error)) {
    result.reason = "the CUDA library is not part of this installation (looked for " + file + ")";
    return result;
  }
  const GetApi entry = findEntry(file, result.reason);
  if (!entry) return result;
  const Api* api = entry(kAbi);
  if (!api || api->abi != kAbi || api->size != sizeof(Api) || api->layout != layoutFingerprint()) {
    result.reason = file + ": built from other sources than this addon (ABI mismatch); rebuild both";
    return result;
  }
  if (std::string(api->version) != VED_VERSION) {
    result.reason = file + ": belongs to version " + api->version + ", expected " VED_VERSION;
    return result;
  }
  result.api = api;
  result.file = file;
  return result;
}

const Library& library() {
  static const Library opened = [] {
    Library result;
    for (const std::string& file : libraryCandidates()) {
      result = openLibrary(file);
      if (result.api) break;
    }
    return result;
  }();
  return opened;
}

Report report(const Library& library) {
  Report result;
  result.library = library.file;
  if (!library.api) {
    result.reason = library.reason;
    return result;
  }
  Probe probe{};
  library.api->probe(&probe);
  result.driverVersion = probe.driverVersion;
  result.runtimeVersion = probe.runtimeVersion;
  result.emulated = probe.emulated != 0;
  if (probe.deviceCount == 0) {
    result.reason = unusableDriver(probe);
    return result;
  }
  for (int i = 0; i < probe.deviceCount; ++i) {
    Device device;
    device.index = i;
    library.api->device(i, &device.info);
    if (device.info.usable) result.usable = true;
    if (!device.info.usable && result.reason.empty())
      result.reason = std::string("device ") + std::to_string(i) + " (" + device.info.name + "): " + device.info.reason;
    result.devices.push_back(device);
  }
  if (!result.usable) return result;
  result.reason.clear();
  const CublasChoice cublas = chooseCublas(*library.api, nullptr, cublasCandidates());
  result.cublas = cublas.file, result.cublasReason = cublas.reason, result.cublasVersion = cublas.version;
  return result;
}

CublasChoice chooseCublas(const Api& api, Context* context, const std::vector<std::string>& candidates) {
  CublasChoice result;
  result.reason = candidates.empty() ? "VED_CUBLAS_PATH is 'none'" : "no cuBLAS library was found";
  bool first = true;
  for (const std::string& file : candidates) {
    CublasInfo info{};
    api.openCublas(context, file.c_str(), &info);
    if (info.usable) return {file, "", info.version};
    // Bare names are tried last: that the system does not know them says less than "not found".
    if (first && (std::filesystem::path(file).has_parent_path() || info.version)) {
      result.reason = info.reason;
      first = false;
    }
  }
  return result;
}

std::string cublasVersion(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100) + "." +
         std::to_string(version % 100);
}

const Api& requireDevice(int index) {
  const Library& opened = library();
  const Report found = report(opened);
  if (found.devices.empty())
    throw Error(ErrorKind::Device, "CUDA_UNAVAILABLE", "device: CUDA cannot be used: " + found.reason);
  if (index < 0 || index >= static_cast<int>(found.devices.size()))
    throw Error(ErrorKind::Device, "CUDA_UNAVAILABLE",
                "device: expected cuda:0 to cuda:" + std::to_string(found.devices.size() - 1) +
                    ", got cuda:" + std::to_string(index));
  const DeviceInfo& info = found.devices[static_cast<size_t>(index)].info;
  if (!info.usable)
    throw Error(ErrorKind::Device, "CUDA_UNAVAILABLE",
                "device: cuda:" + std::to_string(index) + " (" + info.name + ") cannot be used: " + info.reason);
  return *opened.api;
}

}  // namespace ved::cuda
