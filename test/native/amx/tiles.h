// The tiles of AMX in software: per thread, with the checks that make the processor fault, and some more.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ved::test::tiles {

struct Tile {
  int rows = 0, rowBytes = 0;  // as configured; 0: not
  alignas(64) unsigned char data[16][64] = {};
};

// Misuse ends the process, so that no kernel can go on with it; where `throwing` is set, it throws std::logic_error.
void throwOnMisuse(bool throwing);

void loadConfig(const void* config);
void release();
void zero(int tile);
void load(int tile, const void* base, int64_t stride);
void store(int tile, void* base, int64_t stride);
void dotBf16(int sum, int a, int b);
void dotInt8(int sum, int a, int b);

// Memory of this thread that no tile may touch. At most 8 at a time; none: all of them are lifted.
void forbid(const void* begin, size_t bytes);
void liftAll();

struct Counts {
  int64_t configurations, dots;  // since the start
  int64_t configured;            // threads at present
};
Counts counts();

}  // namespace ved::test::tiles
