#include "ops/cuda/loader.h"

#include <cstdlib>
#include <filesystem>

#include "core/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

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

// The folder of the shared object (or program) that this code is linked into.
std::filesystem::path ownFolder() {
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

GetApi findEntry(const std::string& file, std::string& reason) {
#ifdef _WIN32
  const HMODULE handle = LoadLibraryExW(std::filesystem::u8path(file).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!handle) {
    reason = file + ": LoadLibrary failed with error " + std::to_string(GetLastError());
    return nullptr;
  }
  auto* symbol = reinterpret_cast<void*>(GetProcAddress(handle, kEntry));
#else
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) {
    const char* text = dlerror();
    reason = text ? text : file + ": dlopen failed";
    return nullptr;
  }
  void* symbol = dlsym(handle, kEntry);
#endif
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

std::string cudaVersion(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::vector<std::string> libraryCandidates() {
  if (const char* file = std::getenv("VED_CUDA_LIB"); file && *file) return {file};
  return {(ownFolder() / kName).string()};
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
  if (result.usable) result.reason.clear();
  return result;
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
