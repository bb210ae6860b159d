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
  CHECK(f.avx512 || (!f.amxBf16 && !f.amxInt8));
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

namespace {

int asked = 0;
bool permit() { return ++asked > 0; }
bool deny() { return ++asked < 0; }

// 0: none, 1: bfloat16, 2: int8, 3: both
int amx(AmxProbe probe) {
  asked = 0;
  CpuFeatures f;
  detectAmx(probe, f);
  return f.amxBf16 + 2 * f.amxInt8;
}

}  // namespace

VED_TEST(cpu_features_amx_needs_tiles_saved_and_permitted) {
  const uint32_t bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
  const uint64_t saved = 0x602e7;  // as Linux has it on such a processor
  const AmxProbe whole{bf16 | tile | int8, saved, 64, 8, 16, nullptr, permit};
  CHECK_EQ(amx(whole), 3);
  CHECK_EQ(asked, 1);
  const auto with = [&](auto change) {
    AmxProbe probe = whole;
    change(probe);
    return amx(probe);
  };
  CHECK_EQ(with([&](AmxProbe& p) { p.leaf7 = tile | bf16; }), 1);
  CHECK_EQ(with([&](AmxProbe& p) { p.leaf7 = tile | int8; }), 2);
  CHECK_EQ(with([](AmxProbe& p) { p.variable = "1"; }), 3);
  CHECK_EQ(with([](AmxProbe& p) { p.permitted = deny; }), 0);
  CHECK_EQ(asked, 1);
  // A process that would not use tiles does not ask for them.
  CHECK(with([&](AmxProbe& p) { p.leaf7 = bf16 | int8; }) == 0 && asked == 0);
  CHECK(with([&](AmxProbe& p) { p.leaf7 = tile; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.savedStates = 0x202e7; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.savedStates = 0x402e7; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.bytesPerRow = 32; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.tiles = 4; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.rows = 8; }) == 0 && asked == 0);
  CHECK(with([](AmxProbe& p) { p.variable = "0"; }) == 0 && asked == 0);
}
