// Opening a shared library at run time, on both kinds of systems. Nothing throws.
#pragma once
#include <filesystem>
#include <string>

#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace ved::cuda {

// A handle, or nullptr and the reason. `file` without a folder is looked for by the system's loader. What was opened
// stays: its code may be on a stack at exit.
inline void* openObject(const std::string& file, std::string& reason) {
#ifdef _WIN32
  const std::filesystem::path path = std::filesystem::u8path(file);
  const DWORD flags = path.is_absolute() ? LOAD_WITH_ALTERED_SEARCH_PATH : 0;
  void* handle = reinterpret_cast<void*>(LoadLibraryExW(path.c_str(), nullptr, flags));
  if (!handle) reason = file + ": LoadLibrary failed with error " + std::to_string(GetLastError());
#else
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) {
    const char* text = dlerror();
    reason = text ? text : file + ": dlopen failed";
  }
#endif
  return handle;
}

inline void* findSymbol(void* handle, const char* name) {
#ifdef _WIN32
  return reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(handle), name));
#else
  return dlsym(handle, name);
#endif
}

}  // namespace ved::cuda
