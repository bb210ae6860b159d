// GemmKernels out of a Dot (see dot.inc.h). Included once per ISA.
#pragma once
#include "ops/cpu/isa/gemm.inc.h"

namespace ved::ops::cpu {
namespace {

template <class Dot, int MR, int V>
constexpr PanelKernel panelOrNull() {
  if constexpr (MR <= Dot::kTileRows)
    return panelKernel<Dot, MR, V>;
  else
    return nullptr;
}

template <class Dot, int V>
constexpr void setPanels(PanelKernel (&panel)[kMaxTileRows + 1]) {
  static_assert(kMaxRegisterRows == 14);
  const PanelKernel all[] = {nullptr,
                             panelOrNull<Dot, 1, V>(),
                             panelOrNull<Dot, 2, V>(),
                             panelOrNull<Dot, 3, V>(),
                             panelOrNull<Dot, 4, V>(),
                             panelOrNull<Dot, 5, V>(),
                             panelOrNull<Dot, 6, V>(),
                             panelOrNull<Dot, 7, V>(),
                             panelOrNull<Dot, 8, V>(),
                             panelOrNull<Dot, 9, V>(),
                             panelOrNull<Dot, 10, V>(),
                             panelOrNull<Dot, 11, V>(),
                             panelOrNull<Dot, 12, V>(),
                             panelOrNull<Dot, 13, V>(),
                             panelOrNull<Dot, 14, V>()};
  for (int i = 0; i <= kMaxRegisterRows; ++i) panel[i] = all[i];
}

template <class Dot>
constexpr GemmKernels makeGemm(decltype(GemmKernels::packOperand) pack) {
  GemmKernels g{Dot::kUnit, Dot::kParts, Dot::kTileRows, Dot::kZeroPoint, {}, {}, pack};
  setPanels<Dot, Dot::kPanelVectors>(g.panel);
  setPanels<Dot, Dot::kPanelVectors / 2>(g.half);
  return g;
}

}  // namespace
}  // namespace ved::ops::cpu
