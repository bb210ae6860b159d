// Collects the kernels of the ISA whose vec_*.h was included before. Included once per ISA, last.
#pragma once
#include <math.h>

#include "ops/cpu/isa/gemm.inc.h"
#include "ops/cpu/isa/rows.inc.h"

namespace ved::ops::cpu {
namespace {

static_assert(Vec::kTileRows <= kMaxTileRows && kPanel <= kMaxPanelWidth && Vec::kWidth <= kPackSlack);

template <int MR>
constexpr PanelKernel panelOrNull() {
  if constexpr (MR <= Vec::kTileRows)
    return panelKernel<MR>;
  else
    return nullptr;
}

constexpr KernelTable makeTable(const char* name) {
  return {name,
          Vec::kTileRows,
          kPanel,
          {nullptr, panelOrNull<1>(), panelOrNull<2>(), panelOrNull<3>(), panelOrNull<4>(), panelOrNull<5>(),
           panelOrNull<6>(), panelOrNull<7>(), panelOrNull<8>(), panelOrNull<9>(), panelOrNull<10>(), panelOrNull<11>(),
           panelOrNull<12>(), panelOrNull<13>(), panelOrNull<14>()},
          packRows,
          epilogue,
          activate,
          layerNormRow,
          softmaxRow,
          cachedAttention,
          summarizeRow};
}

}  // namespace
}  // namespace ved::ops::cpu
