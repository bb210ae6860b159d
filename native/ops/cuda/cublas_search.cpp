#include "ops/cuda/cublas_search.h"

#include <algorithm>
#include <cstdlib>

#include "ops/cuda/loader.h"

namespace ved::cuda {
namespace {

namespace fs = std::filesystem;

#if defined(_WIN32)
constexpr const char* kNames[] = {"cublasLt64_13.dll", "cublasLt64_12.dll"};
constexpr const char* kToolkit[] = {"bin/x64", "bin"};
constexpr const char* kWheel[] = {"nvidia/cu13/bin/x86_64", "nvidia/cu13/bin", "nvidia/cublas/bin"};
constexpr const char* kPackages[] = {"Lib/site-packages"};
#else
constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr const char* kToolkit[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"};
constexpr const char* kWheel[] = {"nvidia/cu13/lib", "nvidia/cublas/lib"};
#endif

class Candidates {
 public:
  void addFile(const fs::path& file) {
    std::error_code ignored;
    if (fs::is_regular_file(file, ignored)) found.push_back(file.string());
  }
  void addFolder(const fs::path& folder) {
    for (const char* name : kNames) addFile(folder / name);
  }
  template <class Parts>
  void addBelow(const std::string& prefix, const Parts& parts) {
    if (prefix.empty()) return;
    for (const char* part : parts) addFolder(fs::path(prefix) / part);
  }
  // The wheels of the Python installed at `prefix`.
  void addPython(const std::string& prefix) {
    if (prefix.empty()) return;
#if defined(_WIN32)
    for (const char* packages : kPackages) addBelow((fs::path(prefix) / packages).string(), kWheel);
#else
    for (const fs::path& python : pythons(fs::path(prefix) / "lib"))
      for (const char* packages : {"site-packages", "dist-packages"}) addBelow((python / packages).string(), kWheel);
#endif
  }
  std::vector<std::string> found;

 private:
  // lib/python3 and lib/python3.N, the highest first.
  static std::vector<fs::path> pythons(const fs::path& lib) {
    std::vector<fs::path> all;
    std::error_code ignored;
    for (fs::directory_iterator it(lib, ignored), end; it != end; it.increment(ignored)) {
      if (ignored) break;
      if (it->path().filename().string().rfind("python3", 0) == 0) all.push_back(it->path());
    }
    std::sort(all.begin(), all.end(), [](const fs::path& a, const fs::path& b) {
      const std::string x = a.filename().string(), y = b.filename().string();
      return x.size() != y.size() ? x.size() > y.size() : x > y;
    });
    return all;
  }
};

}  // namespace

std::string environmentVariable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<std::string> cublasCandidates(const fs::path& ownFolder,
                                          const std::function<std::string(const char*)>& variable) {
  Candidates all;
  if (const std::string own = variable("VED_CUBLAS_PATH"); !own.empty()) {
    if (own == "none") return {};
    all.addFolder(own);
    // A folder without the library, or a file that is not there, is tried as it is, so that the reason names it.
    return all.found.empty() ? std::vector<std::string>{own} : all.found;
  }
  all.addFolder(ownFolder);
  for (const char* name : {"CUDA_PATH", "CUDA_HOME", "CUDA_ROOT"}) all.addBelow(variable(name), kToolkit);
#if !defined(_WIN32)
  all.addBelow("/usr/local/cuda", kToolkit);
#endif
  all.addPython(variable("VIRTUAL_ENV"));
  const std::string conda = variable("CONDA_PREFIX");
  all.addPython(conda);
  all.addBelow(conda, kToolkit);
#if !defined(_WIN32)
  if (const std::string home = variable("HOME"); !home.empty()) all.addPython(home + "/.local");
  all.addPython("/usr/local");
  all.addPython("/usr");
#endif
  for (const char* name : kNames) all.found.emplace_back(name);
  return all.found;
}

std::vector<std::string> cublasCandidates() { return cublasCandidates(libraryFolder(), environmentVariable); }

}  // namespace ved::cuda
