// int8 by SDOT: four multiply-adds per lane and instruction, both factors signed.
#include "ops/cpu/kernel_table.h"
#if defined(VED_NEON_EXTENSIONS)
#include "ops/cpu/isa/vec_neon.h"
// After the vector type they are written on.
#include "ops/cpu/isa/panels.inc.h"

namespace ved::ops::cpu {
namespace {

struct DotInt8Quads {
  using Sum = int32x4_t;
  static constexpr int kUnit = 4, kParts = 1, kWidth = 4, kPanelVectors = 2, kTileRows = 8;
  static constexpr int32_t kZeroPoint = 0;
  static constexpr bool kSettled = false;
  static Sum zero() { return vdupq_n_s32(0); }
  static int8x16_t weights(const uint32_t* p, int) { return vreinterpretq_s8_u32(vld1q_u32(p)); }
  static int8x16_t operand(const uint32_t* p) { return vreinterpretq_s8_u32(vld1q_dup_u32(p)); }
  static Sum dot(int8x16_t x, int8x16_t w, Sum sum) { return vdotq_s32(sum, x, w); }
  static void store(Sum s, void* c) { vst1q_s32(static_cast<int32_t*>(c), s); }
};

struct EncodeQuads {
  static constexpr int kUnit = 4, kParts = 1;
  static constexpr bool kQuantized = true;
  static void encode(const float* x, int64_t k, float inverse, uint32_t* out) {
    for (int64_t i = 0; i < k; i += 8, out += 2) {
      const auto nearest = [&](int64_t at) {
        const Vec v = k - at >= Vec::kWidth ? Vec::load(x + at) : Vec::loadN(x + at, k - at);
        return vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(v.v, inverse)));
      };
      const bool both = i + 4 < k;
      const int16x4_t low = nearest(i), high = both ? nearest(i + 4) : vdup_n_s16(0);
      const uint32x2_t units = vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(low, high)));
      out[0] = vget_lane_u32(units, 0);
      if (both) out[1] = vget_lane_u32(units, 1);
    }
  }
};

}  // namespace

const GemmKernels kInt8Neon = makeGemm<DotInt8Quads>(packOperand<EncodeQuads>);

}  // namespace ved::ops::cpu
#endif
