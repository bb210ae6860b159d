// What is found of the processor: consistent in itself and, where the environment names features (an emulator that is
// known to have them), not less than that. Kernels of features that are not found would go untested.
#include "core/cpu_features.h"

#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>

#include "harness.h"

using namespace ved;

VED_TEST(cpu_features_are_consistent) {
  const CpuFeatures f = detectCpuFeatures();
  CHECK(!f.avx512 || f.avx2);
  CHECK(f.avx512 || (!f.avx512Bf16 && !f.avx512Vnni));
  CHECK(f.avx2 || !f.avxVnni);
  CHECK(f.neon || (!f.neonDot && !f.neonBf16));
#if defined(__aarch64__) || defined(_M_ARM64)
  CHECK(f.neon && !f.avx2);
#else
  CHECK(!f.neon);
#endif
  const std::pair<const char*, bool> all[] = {
      {"avx2", f.avx2}, {"avx512", f.avx512}, {"neon", f.neon}, {"neonDot", f.neonDot}, {"neonBf16", f.neonBf16}};
  const char* expected = std::getenv("VED_TEST_FEATURES");
  std::istringstream names(expected ? expected : "");
  for (std::string name; names >> name;) {
    bool found = false;
    for (const auto& [feature, present] : all) found = found || (name == feature && present);
    CHECK(found);
  }
}
