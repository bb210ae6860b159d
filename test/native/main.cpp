// ved_tests [part of a name ...]: runs all cases, or those whose name contains one of the arguments.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "harness.h"
#include "op_support.h"

namespace {

using namespace ved::test;

constexpr size_t kFailuresShown = 8;  // per case: one broken kernel would otherwise print thousands

bool selected(const Case& c, int argc, char** argv) {
  if (argc < 2) return true;
  for (int i = 1; i < argc; ++i)
    if (std::strstr(c.name, argv[i])) return true;
  return false;
}

void report(const Case& c, const char* program) {
  const auto& failures = state().failures;
  for (size_t i = 0; i < std::min(failures.size(), kFailuresShown); ++i)
    std::printf("FAIL %s: %s [repro: %s %s, seed %llu]\n", c.name, failures[i].c_str(), program, c.name,
                static_cast<unsigned long long>(state().seed));
  if (failures.size() > kFailuresShown)
    std::printf("FAIL %s: ... and %zu more\n", c.name, failures.size() - kFailuresShown);
}

enum class Outcome { Passed, Failed, Skipped };

Outcome runCase(const Case& c, const char* program) {
  state() = State{};
  try {
    c.run();
    if (state().checks == 0) state().failures.push_back("the case checked nothing");
  } catch (const Skip& skip) {
    std::printf("SKIP %s: %s\n", c.name, skip.why.c_str());
    if (state().failures.empty()) return Outcome::Skipped;
  } catch (const std::exception& error) {
    state().failures.push_back(std::string("uncaught exception: ") + error.what());
  } catch (...) {
    state().failures.push_back("uncaught exception of unknown type");
  }
  report(c, program);
  return state().failures.empty() ? Outcome::Passed : Outcome::Failed;
}

}  // namespace

int main(int argc, char** argv) {
  int counts[3] = {0, 0, 0};
  for (const Case& c : cases())
    if (selected(c, argc, argv)) ++counts[static_cast<int>(runCase(c, argv[0]))];
  const bool device = deviceCuda().api != nullptr;
  std::printf("ved_tests: cuda: %s%s\n",
              device ? "the op cases ran on device 0" : "0 GPU tests run: ", device ? "" : deviceCuda().reason.c_str());
  std::printf("ved_tests: amx: %s\n", amxTarget() ? "the op cases ran on emulated tiles"
                                                  : "0 cases run: emulated over AVX-512 with BF16, which is not here");
  std::printf("ved_tests: %d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  const bool nothingRan = counts[0] + counts[1] + counts[2] == 0;
  if (nothingRan) std::printf("ved_tests: no case matches\n");
  return counts[1] > 0 || nothingRan ? 1 : 0;
}
