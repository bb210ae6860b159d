#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/error.h"
#include "harness.h"

namespace {

using ved::Arena;
using ved::ArenaFloats;

// Sizes of matrices, biases and heads, each written over its whole length and read after all others.
VED_TEST(arena_arrays_do_not_overlap_and_outlive_the_arena) {
  std::vector<ArenaFloats> arrays;
  {
    Arena arena;
    for (size_t i = 0; i < 200; ++i) arrays.push_back(arena.take(1 + i * i * 7 % 40000 + (i % 50 == 49 ? 3000000 : 0)));
  }
  for (size_t i = 0; i < arrays.size(); ++i)
    for (size_t k = 0; k < arrays[i].size(); ++k) arrays[i].data()[k] = static_cast<float>(i);
  for (size_t i = 0; i < arrays.size(); ++i) {
    CHECK(reinterpret_cast<uintptr_t>(arrays[i].data()) % 64 == 0);
    bool own = true;
    for (size_t k = 0; k < arrays[i].size(); ++k) own &= arrays[i].data()[k] == static_cast<float>(i);
    CHECK(own);
  }
}

#if !defined(__SANITIZE_ADDRESS__)
VED_TEST(arena_arrays_of_a_megabyte_lie_side_by_side) {
  constexpr size_t kMegabyte = size_t{1} << 18;
  Arena arena;
  std::vector<ArenaFloats> arrays;
  for (int i = 0; i < 100; ++i) arrays.push_back(arena.take(kMegabyte));
  int neighbours = 0;
  for (size_t i = 1; i < arrays.size(); ++i) neighbours += arrays[i].data() == arrays[i - 1].data() + kMegabyte;
  CHECK(neighbours > 90);
}
#endif

VED_TEST(arena_refuses_too_much) {
  Arena arena;
  CHECK(arena.take(0).size() == 0 && arena.take(0).data() == nullptr);
  bool refused = false;
  try {
    arena.take(SIZE_MAX / 8);
  } catch (const ved::Error& error) {
    refused = error.kind() == ved::ErrorKind::OutOfMemory;
  }
  CHECK(refused);
  CHECK(arena.take(16).size() == 16);
}

}  // namespace
