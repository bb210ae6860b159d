// Collects the kernels of the ISA whose vec_*.h was included before. Included once per ISA, last.
#pragma once
#include <math.h>

#include "ops/cpu/isa/attention.inc.h"
#include "ops/cpu/isa/epilogue.inc.h"
#include "ops/cpu/isa/panels.inc.h"
#include "ops/cpu/isa/rows.inc.h"
#include "ops/cpu/isa/weights.inc.h"

namespace ved::ops::cpu {
namespace {

static_assert(Vec::kTileRows <= kMaxRegisterRows && kPanel <= kMaxPanelWidth && Vec::kWidth <= kPackSlack);

constexpr GemmKernels kGemmFloat32 = makeGemm<DotFloat32>(packFloats);

constexpr KernelTable makeTable(const char* name) {
  return {name,
          kPanel,
          kGemmFloat32,
          makeGemm<DotBf16>(packOperand<EncodeBf16>),
          makeGemm<DotInt8>(packOperand<EncodeInt8>),
          {&kGemmFloat32, packLanesFloat32, packValuesFloat32, softmaxFloat32},
          {},
          packRows,
          restOfRow,
          storeQueries,
          {roundPairs, pairColumns, largestFinite, columnMagnitudes, quantizeRow, quantizeColumns},
          epilogue,
          activate,
          layerNormRow,
          rmsNormRow,
          softmaxRow,
          cachedAttention,
          summarizeRow};
}

}  // namespace
}  // namespace ved::ops::cpu
