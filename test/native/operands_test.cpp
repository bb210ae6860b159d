// Rows that lie in 16 bits: an op that writes them gives the rounded float32 result, and one that reads them what it
// makes of the same numbers in float32, bit by bit. Only backends with storesOperands() are asked.
#include <cmath>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

using Bits = std::vector<uint16_t>;

// Rows of `width` numbers in 16 bits, storedWidth() apart, NaN behind the last: nobody may look there.
Bits narrowed(const std::vector<float>& x, int64_t rows, int64_t width, Element element) {
  const int64_t ld = storedWidth(width, element);
  Bits bits(static_cast<size_t>(rows * ld), 0x7fff);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < width; ++i) bits[r * ld + i] = bits16(x[r * width + i], element);
  return bits;
}

std::vector<float> widened(const Bits& bits, int64_t rows, int64_t width, Element element) {
  std::vector<float> x(static_cast<size_t>(rows * width));
  const int64_t ld = storedWidth(width, element);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < width; ++i) x[r * width + i] = from16(bits[r * ld + i], element);
  return x;
}

// `bits` are `want` rounded, and what lies behind each row was not touched.
void checkRounded(const Bits& bits, const std::vector<float>& want, int64_t rows, int64_t width, Element element) {
  const Bits expected = narrowed(want, rows, width, element);
  CHECK(bits == expected);
}

// Where a sum is rounded before its activation, and its bias with it: `pre` are the sums without an activation.
void checkRoundedTwice(const Bits& bits, const std::vector<float>& want, const std::vector<float>& pre, int64_t rows,
                       int64_t width, Element element) {
  const auto got = widened(bits, rows, width, element);
  const double unit = element == Element::BFloat16 ? 1.0 / 256 : 1.0 / 2048;  // 8 and 11 significant bits
  for (size_t i = 0; i < want.size(); ++i)
    if (!checkClose(got[i], want[i], unit * (std::fabs(want[i]) + 1.2 * (std::fabs(pre[i]) + 1.0)) + 2e-6, "rounded"))
      return;
  const int64_t ld = storedWidth(width, element);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = width; i < ld; ++i) CHECK_EQ(bits[r * ld + i], 0x7fff);
}

// Calls check(backend, type, element) for every backend and type with 16-bit operands.
template <class Check>
void forOperands(Check check) {
  for (const auto& [target, type] : targetsAndTypes()) {
    const Element element = operandElement(type);
    if (element == Element::Float32 || !target.knows(ComputeType::Float16)) continue;
    const auto backend = target.make(1);
    check(*backend, type, element);
  }
  CHECK(true);  // where no such backend is built
}

std::vector<float> randomNumbers(Random& random, int64_t count, float scale = 1.0f) {
  std::vector<float> x(static_cast<size_t>(count));
  random.fill(x.data(), x.size(), scale);
  return x;
}

void checkLinear(const Target& target, Backend& backend, ComputeType type, int64_t rows, int64_t in, int64_t out) {
  const Element element = operandElement(type);
  Random random(static_cast<uint64_t>(rows * 1000 + in + out));
  const auto w = randomNumbers(random, in * out), bias = randomNumbers(random, out),
             x = randomNumbers(random, rows * in);
  const auto weight = backend.makeLinear(in, out, true, type);
  weight->setBlock(0, out, 0, in, w.data(), in, 1);
  weight->setBias(0, out, bias.data());
  weight->seal();
  std::vector<float> want(static_cast<size_t>(rows * out)), got(want.size());
  LinearArgs a{weight.get(), x.data(), in, want.data(), out, rows, true, Activation::Gelu};
  backend.linear(a);
  const Bits x16 = narrowed(x, rows, in, element);
  a.x = reinterpret_cast<const float*>(x16.data()), a.ldx = storedWidth(in, element), a.xElement = element;
  a.y = got.data();
  backend.linear(a);
  CHECK(sameBits(got.data(), want.data(), got.size()));
  Bits y16 = narrowed(got, rows, out, element);
  std::fill(y16.begin(), y16.end(), uint16_t{0x7fff});
  a.y = reinterpret_cast<float*>(y16.data()), a.ldy = storedWidth(out, element), a.yElement = element;
  backend.linear(a);
  if (target.roundsOnce) return checkRounded(y16, want, rows, out, element);
  std::vector<float> pre(want.size());
  LinearArgs sums{weight.get(), x.data(), in, pre.data(), out, rows};
  backend.linear(sums);
  checkRoundedTwice(y16, want, pre, rows, out, element);
}

}  // namespace

VED_TEST(operands_of_linear) {
  for (const auto& [target, type] : targetsAndTypes()) {
    if (operandElement(type) == Element::Float32 || !target.knows(ComputeType::Float16)) continue;
    const auto backend = target.make(1);
    for (int64_t in = 1; in <= 41; in += 5) checkLinear(target, *backend, type, 3, in, 20);
    for (const int64_t rows : {1, 8, 9, 17, 33, 65, 130}) checkLinear(target, *backend, type, rows, 83, 45);
    checkLinear(target, *backend, type, 200, 264, 300);  // 300 outputs: many blocks for the emulator's four processors
    checkLinear(target, *backend, type, 12, 264, 300);
    checkLinear(target, *backend, type, 40, 520, 300);
  }
  CHECK(true);  // where no such backend is built
}

VED_TEST(operands_of_round) {
  forOperands([](Backend& backend, ComputeType, Element element) {
    Random random(4);
    const int64_t rows = 5, width = 19, ld = storedWidth(width, element);
    auto x = randomNumbers(random, rows * width, 8.0f);
    for (size_t i = 0; i < x.size(); i += 3) x[i] = std::ldexp(x[i], static_cast<int>(i % 40) - 30);
    x[0] = 1e30f, x[1] = -1e30f, x[2] = 65519.0f, x[4] = -0.0f;
    Bits y(static_cast<size_t>(rows * ld), 0x7fff);
    backend.round({x.data(), width, y.data(), ld, rows, width, element});
    checkRounded(y, x, rows, width, element);
  });
}

VED_TEST(operands_of_layer_norm) {
  forOperands([](Backend& backend, ComputeType, Element element) {
    for (const int64_t width : {1, 5, 32, 77}) {
      Random random(static_cast<uint64_t>(width));
      const int64_t rows = 6, ld = storedWidth(width, element);
      const auto x = randomNumbers(random, rows * width), gamma = randomNumbers(random, width),
                 beta = randomNumbers(random, width);
      std::vector<float> want(x.size()), y(x.size());
      LayerNormArgs a{x.data(), width, want.data(), width, rows, width, gamma.data(), beta.data(), 1e-5f};
      backend.layerNorm(a);
      Bits both(static_cast<size_t>(rows * ld), 0x7fff), alone = both;
      a.y = y.data(), a.rounded = both.data(), a.ldRounded = ld, a.roundedElement = element;
      backend.layerNorm(a);
      a.y = nullptr, a.rounded = alone.data();
      backend.layerNorm(a);
      CHECK(sameBits(y.data(), want.data(), y.size()));
      checkRounded(both, want, rows, width, element);
      checkRounded(alone, want, rows, width, element);
    }
  });
}

VED_TEST(operands_of_encoder_attention) {
  forOperands([](Backend& backend, ComputeType type, Element element) {
    for (const int64_t headDim : {8, 13, 32, 64, 80}) {
      Random random(static_cast<uint64_t>(headDim));
      const int64_t batch = 2, tokens = 70, heads = 3, width = heads * headDim, rows = batch * tokens;
      const Bits qkv16 = narrowed(randomNumbers(random, rows * 3 * width, 2.0f), rows, 3 * width, element);
      const auto qkv = widened(qkv16, rows, 3 * width, element);
      std::vector<float> want(static_cast<size_t>(rows * width));
      EncoderAttentionArgs a{qkv.data(), want.data(), batch, tokens, heads, headDim, 0.2f, nullptr, type};
      backend.encoderAttention(a);
      Bits out(static_cast<size_t>(rows * storedWidth(width, element)), 0x7fff);
      a.qkv = reinterpret_cast<const float*>(qkv16.data()), a.qkvElement = element;
      a.out = reinterpret_cast<float*>(out.data()), a.outElement = element;
      backend.encoderAttention(a);
      checkRounded(out, want, rows, width, element);
    }
  });
}

VED_TEST(operands_of_window_attention) {
  forOperands([](Backend& backend, ComputeType type, Element element) {
    for (const Similarity similarity : {Similarity::Dot, Similarity::Cosine})
      for (const int64_t headDim : {13, 32}) {
        Random random(static_cast<uint64_t>(headDim));
        const int64_t height = 9, columns = 10, heads = 2, width = heads * headDim, rows = height * columns;
        const Bits qkv16 = narrowed(randomNumbers(random, rows * 3 * width, 2.0f), rows, 3 * width, element);
        const auto qkv = widened(qkv16, rows, 3 * width, element), padding = randomNumbers(random, 3 * width),
                   table = randomNumbers(random, heads * 49), scale = randomNumbers(random, heads);
        std::vector<float> want(static_cast<size_t>(rows * width));
        WindowAttentionArgs a{qkv.data(),
                              padding.data(),
                              want.data(),
                              1,
                              {height, columns, 4, 2},
                              heads,
                              headDim,
                              similarity,
                              scale.data(),
                              {table.data(), nullptr, 4, 4, 0},
                              -3.0f,
                              type};
        backend.windowAttention(a);
        Bits out(static_cast<size_t>(rows * storedWidth(width, element)), 0x7fff);
        a.qkv = reinterpret_cast<const float*>(qkv16.data()), a.qkvElement = element;
        a.out = reinterpret_cast<float*>(out.data()), a.outElement = element;
        backend.windowAttention(a);
        checkRounded(out, want, rows, width, element);
      }
  });
}

VED_TEST(operands_of_cached_attention_gate_and_patches) {
  forOperands([](Backend& backend, ComputeType, Element element) {
    Random random(9);
    const int64_t tokens = 3, heads = 2, headDim = 9, width = heads * headDim, capacity = 11;
    const auto q = randomNumbers(random, tokens * width), keys = randomNumbers(random, 4 * width * capacity),
               values = randomNumbers(random, 4 * width * capacity);
    const int32_t slots[] = {0, 3, 1}, lengths[] = {11, 1, 6};
    std::vector<float> want(static_cast<size_t>(tokens * width));
    CachedAttentionArgs a{q.data(), width, keys.data(), values.data(), capacity, want.data(), width,
                          tokens,   heads, headDim,     0.3f,          slots,    lengths,     nullptr};
    backend.cachedAttention(a);
    Bits out(static_cast<size_t>(tokens * storedWidth(width, element)), 0x7fff);
    a.out = reinterpret_cast<float*>(out.data()), a.ldo = storedWidth(width, element), a.outElement = element;
    backend.cachedAttention(a);
    checkRounded(out, want, tokens, width, element);

    const int64_t inner = 21;
    const auto x = randomNumbers(random, tokens * 2 * inner);
    std::vector<float> gated(static_cast<size_t>(tokens * inner));
    backend.gate({x.data(), gated.data(), tokens, inner, Activation::Silu});
    Bits y(static_cast<size_t>(tokens * storedWidth(inner, element)), 0x7fff);
    backend.gate({x.data(), reinterpret_cast<float*>(y.data()), tokens, inner, Activation::Silu, element});
    checkRounded(y, gated, tokens, inner, element);

    const auto pixels = randomNumbers(random, 2 * 3 * 6 * 7);
    PatchesArgs p{pixels.data(), nullptr, 2, 3, 6, 7, 3, 3, 2, 3};
    std::vector<float> patches(2 * 6 * 27);
    p.patches = patches.data();
    backend.patches(p);
    Bits rounded(static_cast<size_t>(2 * 6 * storedWidth(27, element)), 0x7fff);
    p.patches = reinterpret_cast<float*>(rounded.data()), p.element = element;
    backend.patches(p);
    checkRounded(rounded, patches, 2 * 6, 27, element);
  });
}

VED_TEST(float16_rounds_to_nearest_and_saturates) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float value = float16ToFloat(static_cast<uint16_t>(bits));
    CHECK_EQ(float16Bits(value), bits);
    CHECK_EQ(float16Bits(-value), bits | 0x8000);
    if (bits + 1 >= 0x7c00) continue;
    const float next = float16ToFloat(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2;
    CHECK_EQ(float16Bits(middle), bits % 2 ? bits + 1 : bits);
    CHECK_EQ(float16Bits(std::nextafterf(middle, 0.0f)), bits);
    CHECK_EQ(float16Bits(std::nextafterf(middle, next)), bits + 1);
  }
  CHECK_EQ(float16Bits(65520.0f), 0x7bff);
  CHECK_EQ(float16Bits(HUGE_VALF), 0x7bff);
  CHECK_EQ(float16Bits(-HUGE_VALF), 0xfbff);
  CHECK(std::isnan(float16ToFloat(float16Bits(std::nanf("")))));
}
