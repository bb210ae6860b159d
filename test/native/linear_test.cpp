#include <cmath>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

struct LinearCase {
  int64_t rows, in, out;
  Activation activation = Activation::Identity;
  bool bias = true, residual = false, inPlace = false;
  uint64_t seed = 1;
  ComputeType type = ComputeType::Float32;
};

std::string text(const LinearCase& c) {
  return std::to_string(c.rows) + "x" + std::to_string(c.in) + "x" + std::to_string(c.out) + " act " +
         std::to_string(static_cast<int>(c.activation)) + " " + computeTypeName(c.type);
}

// Fills a weight in uneven blocks, alternating between the two ways a source may be strided.
void setWeight(LinearWeight& weight, const std::vector<float>& w, const std::vector<float>& bias, Random& random) {
  std::vector<float> transposed(w.size());
  for (int64_t n = 0; n < weight.out; ++n)
    for (int64_t k = 0; k < weight.in; ++k) transposed[k * weight.out + n] = w[n * weight.in + k];
  for (int64_t n = 0; n < weight.out;) {
    const int64_t count = std::min(weight.out - n, 1 + random.below(70));
    if (weight.needsMagnitudes()) {
      std::vector<float> top(static_cast<size_t>(count));
      for (int64_t i = 0; i < count * weight.in; ++i)
        top[i / weight.in] = std::max(top[i / weight.in], std::fabs(w[n * weight.in + i]));
      weight.setMagnitudes(n, count, top.data());
    }
    for (int64_t k = 0; k < weight.in;) {
      const int64_t depth = std::min(weight.in - k, 1 + random.below(90));
      if (random.below(2))
        weight.setBlock(n, count, k, depth, w.data() + n * weight.in + k, weight.in, 1);
      else
        weight.setBlock(n, count, k, depth, transposed.data() + k * weight.out + n, 1, weight.out);
      k += depth;
    }
    weight.setBias(n, count, bias.data() + n);
    n += count;
  }
  weight.seal();
}

void checkLinear(Backend& backend, const LinearCase& c) {
  Random random(c.seed);
  std::vector<float> w(static_cast<size_t>(c.in * c.out)), bias(static_cast<size_t>(c.out));
  random.fill(w.data(), w.size());
  random.fill(bias.data(), bias.size());
  const auto reference = makeReferenceBackend();
  const auto exact = reference->makeLinear(c.in, c.out, true, c.type);
  const auto weight = backend.makeLinear(c.in, c.out, true, c.type);
  exact->setBlock(0, c.out, 0, c.in, w.data(), c.in, 1);
  exact->setBias(0, c.out, bias.data());
  exact->seal();
  setWeight(*weight, w, bias, random);

  const int64_t ldx = c.in + 3, ldy = c.out + 5, ldr = c.inPlace ? ldy : c.out + 2;
  Guarded x(static_cast<size_t>(c.rows * ldx), random), y(static_cast<size_t>(c.rows * ldy));
  Guarded residual(static_cast<size_t>(c.rows * ldr), random);
  std::vector<float> want(static_cast<size_t>(c.rows * c.out));
  if (c.inPlace)
    for (int64_t m = 0; m < c.rows; ++m)
      for (int64_t n = 0; n < c.out; ++n) y[m * ldy + n] = residual[m * ldr + n];
  LinearArgs a{exact.get(), x.data(), ldx, want.data(), c.out, c.rows, c.bias, c.activation, nullptr, 0};
  if (c.residual || c.inPlace) a.residual = residual.data(), a.ldr = ldr;
  reference->linear(a);
  a.weight = weight.get(), a.y = y.data(), a.ldy = ldy;
  if (c.inPlace) a.residual = y.data();
  backend.linear(a);

  const std::string what = backend.name() + " " + text(c);
  // The reference rounds the factors as the type says, so that only the sum is left to differ.
  // |x|, |w| <= 1: the sum of in products is off by at most in * eps * sum |x w| (<= in / 4 on average; in is safe).
  // Activations have slope <= 1.2 (Relu2: 2 |v|) and an error of their own below 1e-6.
  const double n = static_cast<double>(c.in) + 4;
  double tol = 2.0 * kEps * std::sqrt(n) * n + 2e-6;
  if (c.activation == Activation::Relu2) tol *= 2.0 * n;
  for (int64_t m = 0; m < c.rows; ++m) {
    for (int64_t i = 0; i < c.out; ++i)
      if (!checkClose(y[m * ldy + i], want[m * c.out + i], tol, what)) return;
    for (int64_t i = c.out; i < ldy; ++i) CHECK(y.untouched(static_cast<size_t>(m * ldy + i)));
  }
  CHECK(y.intact());
  for (int64_t i = 0; i < c.out; ++i) CHECK_EQ(backend.biasOf(*weight)[i], bias[i]);
}

}  // namespace

VED_TEST(linear_every_width) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t n = 1; n <= 70; ++n) {
      const uint64_t seed = static_cast<uint64_t>(n);
      for (const ComputeType type : target.types) {
        checkLinear(*backend, {3, 17, n, Activation::Identity, true, false, false, 100u + seed, type});
        checkLinear(*backend, {5, n, 37, Activation::Identity, true, true, false, 300u + seed, type});
        checkLinear(*backend, {n, 19, 33, Activation::Identity, false, true, true, 500u + seed, type});
      }
    }
  }
}

VED_TEST(linear_every_activation) {
  for (const Target& target : targets()) {
    const auto backend = target.make(1);
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act)
      for (int mode = 0; mode < 4; ++mode)
        for (const ComputeType type : target.types)
          checkLinear(*backend, {7, 29, 45, static_cast<Activation>(act), (mode & 1) != 0, (mode & 2) != 0, false,
                                 static_cast<uint64_t>(act * 4 + mode + 1), type});
  }
}

VED_TEST(linear_large_shapes) {
  for (const Target& target : targets()) {
    const auto backend = target.make(3);
    for (const ComputeType type : target.types) {
      checkLinear(*backend, {197, 769, 261, Activation::Gelu, true, false, false, 1, type});
      checkLinear(*backend, {131, 1030, 99, Activation::Identity, true, true, true, 2, type});
      checkLinear(*backend, {1, 512, 1031, Activation::Identity, true, false, false, 3, type});
    }
  }
}

VED_TEST(linear_reference_matches_formula) {
  const auto backend = makeReferenceBackend();
  const auto weight = backend->makeLinear(2, 2, true);
  const float w[] = {1, 2, 3, 4}, b[] = {10, -100}, x[] = {5, 6}, r[] = {1000, 2000};
  float y[2];
  weight->setBlock(0, 2, 0, 2, w, 2, 1);
  weight->setBias(0, 2, b);
  backend->linear({weight.get(), x, 2, y, 2, 1, true, Activation::Relu, r, 2});
  CHECK_EQ(y[0], 1027.0f);  // 5 + 12 + 10 + 1000
  CHECK_EQ(y[1], 2000.0f);  // relu(15 + 24 - 100) + 2000
}

// Integer sums are exact, so that int8 results of two instruction sets differ by the rounding of the scales alone. Here
// the largest sum there can be: every product 127 * 127.
VED_TEST(linear_int8_does_not_saturate) {
  for (const Target& target : targets()) {
    if (!target.knows(ComputeType::Int8)) continue;
    for (const ComputeType type : {ComputeType::Int8, ComputeType::Int8Fine}) {
      const auto backend = target.make(1);
      const int64_t in = 4099, out = 35;
      const std::vector<float> w(in * out, -1.0f), x(in, 3.0f);
      std::vector<float> y(out);
      const auto weight = backend->makeLinear(in, out, false, type);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->seal();
      backend->linear({weight.get(), x.data(), in, y.data(), out, 1});
      for (const float v : y) checkClose(v, -3.0 * in, 8 * kEps * 3.0 * in, "extreme int8 sum");
    }
  }
}

// Operands in two integers: the error of an operand is at most 1/254 of 1/254 of the row's largest.
VED_TEST(linear_int8_fine_is_finer) {
  for (const Target& target : targets()) {
    if (!target.knows(ComputeType::Int8Fine)) continue;
    const auto backend = target.make(1);
    Random random(8);
    const int64_t in = 300, out = 40, rows = 5;
    std::vector<float> x(rows * in), y(rows * out);
    random.fill(x.data(), x.size());
    const std::vector<float> w(in * out, 1.0f);  // without an error of its own
    double worst[2] = {};
    for (const ComputeType type : {ComputeType::Int8, ComputeType::Int8Fine}) {
      const auto weight = backend->makeLinear(in, out, false, type);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->seal();
      backend->linear({weight.get(), x.data(), in, y.data(), out, rows});
      for (int64_t i = 0; i < rows * out; ++i) {
        double want = 0;
        for (int64_t k = 0; k < in; ++k) want += x[i / out * in + k];
        double& error = worst[type == ComputeType::Int8Fine];
        error = std::max(error, std::fabs(y[i] - want));
      }
    }
    CHECK(worst[0] > 1e-2);
    CHECK(worst[1] < worst[0] / 100);
  }
}

// A row's result may depend neither on the rows beside it nor on the number of threads.
VED_TEST(linear_bits_do_not_depend_on_rows_or_threads) {
  for (const auto& [target, type] : targetsAndTypes()) {
    if (type != ComputeType::Float32 && !target.sameBitsInAllTypes) continue;
    Random random(77);
    const int64_t in = 403, out = 331, rows = 61;
    std::vector<float> w(in * out), bias(out), x(rows * in), r(rows * out), want(rows * out), got(rows * out);
    for (auto* v : {&w, &bias, &x, &r}) random.fill(v->data(), v->size());
    for (const int threads : {1, 2, 4}) {
      const auto backend = target.make(threads);
      const auto weight = backend->makeLinear(in, out, true, type);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->setBias(0, out, bias.data());
      weight->seal();
      LinearArgs a{weight.get(), x.data(), in, got.data(), out, rows, true, Activation::Gelu, r.data(), out};
      backend->linear(a);
      if (threads == 1) want = got;
      CHECK(sameBits(got.data(), want.data(), got.size()));
      for (int64_t count = 1; count <= 33; ++count)
        for (const int64_t first : {int64_t{0}, rows - count}) {
          a.rows = count, a.x = x.data() + first * in, a.residual = r.data() + first * out;
          backend->linear(a);
          CHECK(sameBits(got.data(), want.data() + first * out, static_cast<size_t>(count * out)));
        }
    }
  }
}

// NaN and infinity reach exactly the outputs they belong to.
VED_TEST(linear_nan_stays_in_its_row) {
  for (const auto& [target, type] : targetsAndTypes()) {
    Random random(5);
    const auto backend = target.make(2);
    const int64_t in = 37, out = 41, rows = 17;
    std::vector<float> w(in * out), x(rows * in), y(rows * out);
    random.fill(w.data(), w.size());
    random.fill(x.data(), x.size());
    const auto weight = backend->makeLinear(in, out, false, type);
    weight->setBlock(0, out, 0, in, w.data(), in, 1);
    weight->seal();
    x[5 * in + 36] = std::nanf("");
    x[9 * in] = HUGE_VALF;
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act) {
      backend->linear(
          {weight.get(), x.data(), in, y.data(), out, rows, true, static_cast<Activation>(act), nullptr, 0});
      for (int64_t i = 0; i < rows * out; ++i) {
        const int64_t row = i / out;
        if (hasInt8Weights(type) && row == 9) continue;  // its scale is infinite: NaN, as linear.h says
        if (!target.keepsNan && static_cast<Activation>(act) == Activation::Relu && row == 5) continue;
        CHECK(std::isnan(y[i]) == (row == 5));
        if (row != 5 && row != 9) CHECK(std::isfinite(y[i]));
      }
    }
  }
}
