// Where a cuBLASLt library may be. Whether one of them can be used is for the CUDA library to say.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ved::cuda {

// Files that exist, then names for the system's loader, best first: VED_CUBLAS_PATH (a file or a folder) alone when it
// is set, else beside `ownFolder`, in a CUDA toolkit, in an nvidia-cublas wheel. Nothing when VED_CUBLAS_PATH is
// "none". `variable` gives an environment variable, "" when it is not set.
std::vector<std::string> cublasCandidates(const std::filesystem::path& ownFolder,
                                          const std::function<std::string(const char*)>& variable);
// Of this process.
std::vector<std::string> cublasCandidates();
std::string environmentVariable(const char* name);  // "" when it is not set

}  // namespace ved::cuda
