// Before a kernel source: its tile intrinsics become those of tiles.h, its kernels get names of their own.
#pragma once
#include <immintrin.h>

#include "amx/tiles.h"

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbssd
#define _tile_loadconfig(config) ved::test::tiles::loadConfig(config)
#define _tile_release() ved::test::tiles::release()
#define _tile_zero(tile) ved::test::tiles::zero(tile)
#define _tile_loadd(tile, base, stride) ved::test::tiles::load(tile, base, stride)
#define _tile_stored(tile, base, stride) ved::test::tiles::store(tile, base, stride)
#define _tile_dpbf16ps(sum, a, b) ved::test::tiles::dotBf16(sum, a, b)
#define _tile_dpbssd(sum, a, b) ved::test::tiles::dotInt8(sum, a, b)

#define kBf16Amx kBf16Emulated
#define kInt8Amx kInt8Emulated
