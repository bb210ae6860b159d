// bfloat16 by BFDOT: two multiply-adds per lane and instruction. Denormals count as zero, and its sums are rounded to
// odd.
#include "ops/cpu/kernel_table.h"
#if defined(VED_NEON_EXTENSIONS)
#include "ops/cpu/isa/vec_neon.h"
// After the vector type they are written on.
#include "ops/cpu/isa/attention_bf16.inc.h"
#include "ops/cpu/isa/panels.inc.h"

namespace ved::ops::cpu {
namespace {

struct DotBf16Pairs {
  using Sum = float32x4_t;
  static constexpr int kUnit = 2, kParts = 1, kWidth = 4, kPanelVectors = 2, kTileRows = 8;
  static constexpr int32_t kZeroPoint = 0;
  static constexpr bool kSettled = false;
  static Sum zero() { return vdupq_n_f32(0.0f); }
  static bfloat16x8_t weights(const uint32_t* p, int) { return vreinterpretq_bf16_u32(vld1q_u32(p)); }
  static bfloat16x8_t operand(const uint32_t* p) { return vreinterpretq_bf16_u32(vld1q_dup_u32(p)); }
  static Sum dot(bfloat16x8_t x, bfloat16x8_t w, Sum sum) { return vbfdotq_f32(sum, x, w); }
  static void store(Sum s, void* c) { vst1q_f32(static_cast<float*>(c), s); }
};

struct EncodePairs {
  static constexpr int kUnit = 2, kParts = 1;
  static constexpr bool kQuantized = false;
  static void encode(const float* x, int64_t k, float, uint32_t* out) {
    int64_t i = 0;
    for (; i + 8 <= k; i += 8) {
      const bfloat16x8_t low = vcvtq_low_bf16_f32(vld1q_f32(x + i));
      vst1q_u32(out + i / 2, vreinterpretq_u32_bf16(vcvtq_high_bf16_f32(low, vld1q_f32(x + i + 4))));
    }
    for (; i < k; i += 2) out[i / 2] = roundedBf16(x[i]) >> 16 | (i + 1 < k ? roundedBf16(x[i + 1]) : 0);
  }
  static void join(Vec low, Vec high, uint32_t* out, int64_t n) {
    const uint16x4_t a = vreinterpret_u16_bf16(vcvt_bf16_f32(low.v)), b = vreinterpret_u16_bf16(vcvt_bf16_f32(high.v));
    const Vec pairs = {vreinterpretq_f32_u32(vorrq_u32(vmovl_u16(a), vshlq_n_u32(vmovl_u16(b), 16)))};
    if (n >= Vec::kWidth)
      pairs.store(reinterpret_cast<float*>(out));
    else
      pairs.storeN(reinterpret_cast<float*>(out), n);
  }
};

}  // namespace

const GemmKernels kBf16Neon = makeGemm<DotBf16Pairs>(packOperand<EncodePairs>);
const AttentionKernels kAttentionBf16Neon = makeAttentionBf16<EncodePairs>(kBf16Neon);

}  // namespace ved::ops::cpu
#endif
