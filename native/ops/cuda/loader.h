// Finds and opens the CUDA library, once per process. Everything that can keep CUDA from being used ends in one
// sentence.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "ops/cuda/api.h"

namespace ved::cuda {

struct Library {
  const Api* api = nullptr;
  std::string file;    // that was opened
  std::string reason;  // why api is nullptr
};

struct Device {
  int index = 0;
  DeviceInfo info{};
};

struct Report {
  bool usable = false;  // at least one device is
  bool emulated = false;
  std::string reason;  // why not usable
  std::string library;
  int driverVersion = 0, runtimeVersion = 0;
  std::vector<Device> devices;
  std::string cublas;        // the file in use for large products, "" where none can be used
  std::string cublasReason;  // why not
  int cublasVersion = 0;
};

// Where the library may be: VED_CUDA_LIB alone when it is set, else beside the addon.
std::vector<std::string> libraryCandidates();
// The folder of the addon, or of the program that this is linked into.
std::filesystem::path libraryFolder();
// Opened with immediate binding and never closed: its code may be on a stack at exit. `file` is checked before opening.
Library openLibrary(const std::string& file);
// The process's library, opened at the first call.
const Library& library();
// What `ved devices` shows. Asks the driver each time.
Report report(const Library& library);
// api of a usable device, or ved::Error (Device): nothing falls back silently.
const Api& requireDevice(int index);
std::string cudaVersion(int version);  // 13000 -> "13.0"

struct CublasChoice {
  std::string file, reason;
  int version = 0;
};
// Opens the first of the candidates that can be used, for a context or, with nullptr, for a look. Where none can, the
// reason is that of the first that exists.
CublasChoice chooseCublas(const Api& api, Context* context, const std::vector<std::string>& candidates);
std::string cublasVersion(int version);  // 130101 -> "13.1.1"

}  // namespace ved::cuda
