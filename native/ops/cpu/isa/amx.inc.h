// Products by AMX: eight tiles of at most 16 rows of 64 bytes. Included once per element type, behind vec_avx512.h,
// with
//   VED_TILE_DOT(sum, operand, weights)   its instruction, by the numbers of three tiles
// Intrinsics of tiles are macros here and there, so that their arguments are literals. Included a second time by the
// native tests, where they are functions that compute the same in software.
//
//   tiles 0 1   sums of rows 0 to 15, left and right half of the panel
//   tiles 2 3   sums of rows 16 to 31
//   tiles 4 5   operand, rows 0 to 15 and 16 to 31
//   tiles 6 7   weights, left and right half
//
// The operand is [steps of 16 units][MR][16 units], zeros behind k: every tile of it is contiguous. A panel already has
// the order that the instruction wants: 16 of its rows, half as wide, are a tile.
#pragma once
#include "ops/cpu/isa/gemm.inc.h"

namespace ved::ops::cpu {
namespace {

constexpr int kTileUnits = 16;                                          // in a row of a tile, and rows of a tile
constexpr int kTileStride = 4 * kTileUnits, kPanelStride = 4 * kPanel;  // bytes
static_assert(kPanel == 2 * kTileUnits);

// As LDTILECFG reads it.
struct alignas(64) TileConfig {
  uint8_t palette, startRow, reserved[14];
  uint16_t rowBytes[16];
  uint8_t rows[16];
};

struct TileConfigs {
  TileConfig of[kMaxTileRows + 1];
};

constexpr TileConfigs makeConfigs() {
  TileConfigs all{};
  for (int rows = 1; rows <= kMaxTileRows; ++rows) {
    TileConfig& config = all.of[rows];
    config.palette = 1;
    const int upper = rows < kTileUnits ? rows : kTileUnits, lower = rows - upper;
    const int rowsOf[8] = {upper, upper, lower, lower, upper, lower, kTileUnits, kTileUnits};
    for (int tile = 0; tile < 8; ++tile) {
      config.rows[tile] = static_cast<uint8_t>(rowsOf[tile]);
      config.rowBytes[tile] = rowsOf[tile] ? kTileStride : 0;
    }
  }
  return all;
}

constexpr TileConfigs kConfigs = makeConfigs();

void configureTiles(int64_t rows) { _tile_loadconfig(&kConfigs.of[rows]); }
void releaseTiles() { _tile_release(); }

// Compilers do not know that the intrinsics read memory.
inline void settle(const void* written) {
#if defined(__GNUC__)
  __asm__ volatile("" : : "r"(written) : "memory");
#else
  static_cast<void>(written);
#endif
}

// 16 units of all rows. Tall: more than 16 rows. Wide: both halves of the panel.
template <bool Tall, bool Wide>
inline void multiplyStep(const uint32_t* a, const uint32_t* b) {
  _tile_loadd(4, a, kTileStride);
  _tile_loadd(6, b, kPanelStride);
  VED_TILE_DOT(0, 4, 6);
  if constexpr (Wide) {
    _tile_loadd(7, b + kTileUnits, kPanelStride);
    VED_TILE_DOT(1, 4, 7);
  }
  if constexpr (Tall) {
    _tile_loadd(5, a + kTileUnits * kTileUnits, kTileStride);
    VED_TILE_DOT(2, 5, 6);
    if constexpr (Wide) VED_TILE_DOT(3, 5, 7);
  }
}

template <bool Tall, bool Wide>
inline void storeSums(uint32_t* c, int64_t stride) {
  const int64_t bytes = 4 * stride;
  _tile_stored(0, c, bytes);
  if constexpr (Wide) _tile_stored(1, c + kTileUnits, bytes);
  if constexpr (Tall) {
    _tile_stored(2, c + kTileUnits * stride, bytes);
    if constexpr (Wide) _tile_stored(3, c + kTileUnits * stride + kTileUnits, bytes);
  }
}

// See PanelKernel.
template <bool Tall, bool Wide>
void tilePanel(const uint32_t* a, const uint32_t* b, int64_t units, uint32_t* c, int64_t ldc, const uint32_t* next,
               int64_t lines, int64_t rows) {
  _tile_zero(0);
  if constexpr (Wide) _tile_zero(1);
  if constexpr (Tall) _tile_zero(2);
  if constexpr (Tall && Wide) _tile_zero(3);
  for (int64_t left = units / kTileUnits; left > 0; --left) {
    if (!next) {  // run ahead in this panel
      for (int line = 0; line < kTileUnits * kPanelLines; ++line) prefetchNear(b + kStreamAhead + line * kLine);
    } else if (lines > 0) {
      for (int line = 0; line < kTileUnits; ++line) prefetchFar(next + line * kLine);
      next += kTileUnits * kLine, lines -= kTileUnits;
    }
    multiplyStep<Tall, Wide>(a, b);
    a += rows * kTileUnits, b += kTileUnits * kPanel;
  }
  if (const int64_t rest = units % kTileUnits) {
    // What follows the panel is not its own: zeros of the operand do not help against NaN.
    alignas(64) float last[kTileUnits * kPanel];
    const auto* from = reinterpret_cast<const float*>(b);
    for (int64_t i = 0; i < kTileUnits * kPanel; i += Vec::kWidth)
      (i < rest * kPanel ? Vec::load(from + i) : Vec::zero()).store(last + i);
    settle(last);
    multiplyStep<Tall, Wide>(a, reinterpret_cast<const uint32_t*>(last));
    settle(last);
  }
  storeSums<Tall, Wide>(c, ldc);
  settle(c);
}

template <int MR, bool Wide>
void tileRowsPanel(const void* operand, const void* weights, int64_t units, void* c, int64_t ldc, const void* prefetch,
                   int64_t prefetchLines) {
  tilePanel<(MR > kTileUnits), Wide>(static_cast<const uint32_t*>(operand), static_cast<const uint32_t*>(weights),
                                     units, static_cast<uint32_t*>(c), ldc, static_cast<const uint32_t*>(prefetch),
                                     prefetchLines, MR);
}

// Encode::line() writes the 16 units of k <= 16 * kUnit elements and zeros behind them.
template <class Encode>
void packTiles(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out, float* rowScale) {
  constexpr int64_t kDepth = kTileUnits * Encode::kUnit;
  for (int64_t r = 0; r < rows; ++r, x += ldx) {
    float inverse = 0;
    bool usable = true;
    if constexpr (Encode::kQuantized) {
      const RowScale row = rowScaleOf(x, k);
      // A row that is not finite is NaN through its scale; its integers only have to be defined.
      rowScale[r] = row.scale, inverse = row.inverse, usable = row.scale == row.scale;
    }
    auto* to = static_cast<uint32_t*>(out) + r * kTileUnits;
    for (int64_t begin = 0; begin < k; begin += kDepth, to += rows * kTileUnits)
      Encode::line(x + begin, usable ? k - begin : 0, inverse, to);
  }
}

template <int MR>
constexpr void setTilePanels(GemmKernels& g) {
  g.panel[MR] = tileRowsPanel<MR, true>;
  g.half[MR] = tileRowsPanel<MR, false>;
  if constexpr (MR > 1) setTilePanels<MR - 1>(g);
}

template <class Encode>
constexpr GemmKernels makeTileGemm() {
  GemmKernels g{Encode::kUnit, 1, kMaxTileRows, 0, {}, {}, packTiles<Encode>};
  setTilePanels<kMaxTileRows>(g);
  g.rowStep = kMaxTileRows, g.unitStep = kTileUnits;
  g.configure = configureTiles, g.release = releaseTiles;
  return g;
}

}  // namespace
}  // namespace ved::ops::cpu
