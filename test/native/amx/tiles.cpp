#if defined(VED_AMX_EMULATOR)
#include "amx/tiles.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "amx/tile_dot.h"

namespace ved::test::tiles {
namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;
constexpr size_t kForbidden = 8;

struct State {
  bool configured = false, throwing = false;
  std::array<Tile, kTiles> tiles;
  std::vector<std::pair<const unsigned char*, size_t>> forbidden;
};
thread_local State state;
std::atomic<int64_t> configurations{0}, dots{0}, configuredThreads{0};

[[noreturn]] void misuse(const char* what) {
  if (state.throwing) throw std::logic_error(what);
  std::fprintf(stderr, "misuse of AMX tiles: %s\n", what);
  std::abort();
}

void require(bool good, const char* what) {
  if (!good) misuse(what);
}

Tile& usable(int index) {
  require(state.configured, "an instruction before LDTILECFG");
  require(index >= 0 && index < kTiles, "no such tile");
  Tile& tile = state.tiles[static_cast<size_t>(index)];
  require(tile.rows > 0, "a tile that is not configured");
  return tile;
}

void setConfigured(bool configured) {
  configuredThreads += static_cast<int>(configured) - static_cast<int>(state.configured);
  state.configured = configured;
  if (!configured) state.tiles = {};
}

void checkMemory(const Tile& tile, const void* base, int64_t stride) {
  require(tile.rows == 1 || stride >= tile.rowBytes, "rows that overlap in memory");
  const auto* row = static_cast<const unsigned char*>(base);
  for (int i = 0; i < tile.rows; ++i, row += stride)
    for (const auto& [begin, bytes] : state.forbidden)
      require(row + tile.rowBytes <= begin || row >= begin + bytes, "memory outside of the buffer");
}

// Of three different tiles: [m, k] times [k, n] to [m, n], in elements of 4 bytes.
void checkShapes(int sum, int a, int b) {
  require(sum != a && sum != b && a != b, "a tile twice in one product");
  const Tile &c = usable(sum), &x = usable(a), &w = usable(b);
  require(c.rowBytes % 4 == 0 && x.rowBytes % 4 == 0 && w.rowBytes % 4 == 0, "rows that are not whole elements");
  require(c.rows == x.rows && x.rowBytes / 4 == w.rows && w.rowBytes == c.rowBytes, "tiles that do not match");
}

template <class Sum, class RowDot>
void multiply(int sum, int a, int b, RowDot rowDot) {
  checkShapes(sum, a, b);
  ++dots;
  Tile& c = usable(sum);
  const Tile &x = usable(a), &w = usable(b);
  for (int m = 0; m < c.rows; ++m) {
    alignas(64) Sum row[16];
    std::memcpy(row, c.data[m], sizeof(row));
    rowDot(reinterpret_cast<const uint32_t*>(x.data[m]), reinterpret_cast<const uint32_t*>(w.data), w.rows, row);
    std::memcpy(c.data[m], row, static_cast<size_t>(c.rowBytes));
  }
}

}  // namespace

void throwOnMisuse(bool throwing) { state.throwing = throwing; }

// Palette, row to start at, 14 reserved bytes, bytes per row of 16 tiles, rows of 16 tiles. Only 8 tiles are there.
void loadConfig(const void* config) {
  unsigned char bytes[64];
  uint16_t rowBytes[16];
  std::memcpy(bytes, config, sizeof(bytes));
  std::memcpy(rowBytes, bytes + 16, sizeof(rowBytes));
  const unsigned char* rows = bytes + 48;
  require(bytes[0] == 1, "a palette other than 1");
  for (int i = 1; i < 16; ++i) require(bytes[i] == 0, "a start row, or reserved bytes that are not zero");
  for (int i = 0; i < 16; ++i) {
    require(i < kTiles || (rowBytes[i] == 0 && rows[i] == 0), "a tile beyond the palette's");
    require(rowBytes[i] <= kRowBytes && rows[i] <= kRows, "a tile larger than the palette's");
    require((rowBytes[i] == 0) == (rows[i] == 0), "rows without bytes, or bytes without rows");
  }
  setConfigured(false);
  setConfigured(true);
  ++configurations;
  for (int i = 0; i < kTiles; ++i) {
    state.tiles[static_cast<size_t>(i)].rows = rows[i];
    state.tiles[static_cast<size_t>(i)].rowBytes = rowBytes[i];
  }
}

void release() { setConfigured(false); }

void zero(int tile) { std::memset(usable(tile).data, 0, sizeof(Tile::data)); }

void load(int index, const void* base, int64_t stride) {
  Tile& tile = usable(index);
  checkMemory(tile, base, stride);
  std::memset(tile.data, 0, sizeof(tile.data));
  for (int i = 0; i < tile.rows; ++i)
    std::memcpy(tile.data[i], static_cast<const unsigned char*>(base) + i * stride, static_cast<size_t>(tile.rowBytes));
}

void store(int index, void* base, int64_t stride) {
  const Tile& tile = usable(index);
  checkMemory(tile, base, stride);
  for (int i = 0; i < tile.rows; ++i)
    std::memcpy(static_cast<unsigned char*>(base) + i * stride, tile.data[i], static_cast<size_t>(tile.rowBytes));
}

void dotBf16(int sum, int a, int b) { multiply<float>(sum, a, b, rowDotBf16); }
void dotInt8(int sum, int a, int b) { multiply<uint32_t>(sum, a, b, rowDotInt8); }

void forbid(const void* begin, size_t bytes) {
  if (state.forbidden.size() == kForbidden) misuse("too many forbidden ranges");
  state.forbidden.emplace_back(static_cast<const unsigned char*>(begin), bytes);
}
void liftAll() { state.forbidden.clear(); }

Counts counts() { return {configurations, dots, configuredThreads}; }

}  // namespace ved::test::tiles
#endif
