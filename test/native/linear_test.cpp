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
};

std::string text(const LinearCase& c) {
  return std::to_string(c.rows) + "x" + std::to_string(c.in) + "x" + std::to_string(c.out) + " act " +
         std::to_string(static_cast<int>(c.activation));
}

// Fills a weight in uneven blocks, alternating between the two ways a source may be strided.
void setWeight(LinearWeight& weight, const std::vector<float>& w, const std::vector<float>& bias, Random& random) {
  std::vector<float> transposed(w.size());
  for (int64_t n = 0; n < weight.out; ++n)
    for (int64_t k = 0; k < weight.in; ++k) transposed[k * weight.out + n] = w[n * weight.in + k];
  for (int64_t n = 0; n < weight.out;) {
    const int64_t count = std::min(weight.out - n, 1 + random.below(70));
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
}

void checkLinear(Backend& backend, const LinearCase& c) {
  Random random(c.seed);
  std::vector<float> w(static_cast<size_t>(c.in * c.out)), bias(static_cast<size_t>(c.out));
  random.fill(w.data(), w.size());
  random.fill(bias.data(), bias.size());
  const auto reference = makeReferenceBackend();
  const auto exact = reference->makeLinear(c.in, c.out, true), weight = backend.makeLinear(c.in, c.out, true);
  exact->setBlock(0, c.out, 0, c.in, w.data(), c.in, 1);
  exact->setBias(0, c.out, bias.data());
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
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 2);
    for (int64_t n = 1; n <= 70; ++n) {
      checkLinear(*backend, {3, 17, n, Activation::Identity, true, false, false, 100u + static_cast<uint64_t>(n)});
      checkLinear(*backend, {5, n, 37, Activation::Identity, true, true, false, 300u + static_cast<uint64_t>(n)});
      checkLinear(*backend, {n, 19, 33, Activation::Identity, false, true, true, 500u + static_cast<uint64_t>(n)});
    }
  }
}

VED_TEST(linear_every_activation) {
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 1);
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act)
      for (int mode = 0; mode < 4; ++mode)
        checkLinear(*backend, {7, 29, 45, static_cast<Activation>(act), (mode & 1) != 0, (mode & 2) != 0, false,
                               static_cast<uint64_t>(act * 4 + mode + 1)});
  }
}

VED_TEST(linear_large_shapes) {
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 3);
    checkLinear(*backend, {197, 769, 261, Activation::Gelu, true, false, false, 1});
    checkLinear(*backend, {131, 1030, 99, Activation::Identity, true, true, true, 2});
    checkLinear(*backend, {1, 512, 1031, Activation::Identity, true, false, false, 3});
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

// A row's result may depend neither on the rows beside it nor on the number of threads.
VED_TEST(linear_bits_do_not_depend_on_rows_or_threads) {
  for (const CpuIsa isa : availableIsas()) {
    Random random(77);
    const int64_t in = 403, out = 331, rows = 61;
    std::vector<float> w(in * out), bias(out), x(rows * in), r(rows * out), want(rows * out), got(rows * out);
    for (auto* v : {&w, &bias, &x, &r}) random.fill(v->data(), v->size());
    for (const int threads : {1, 2, 4}) {
      const auto backend = makeCpuBackend(isa, threads);
      const auto weight = backend->makeLinear(in, out, true);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->setBias(0, out, bias.data());
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
  for (const CpuIsa isa : availableIsas()) {
    Random random(5);
    const auto backend = makeCpuBackend(isa, 2);
    const int64_t in = 37, out = 41, rows = 17;
    std::vector<float> w(in * out), x(rows * in), y(rows * out);
    random.fill(w.data(), w.size());
    random.fill(x.data(), x.size());
    const auto weight = backend->makeLinear(in, out, false);
    weight->setBlock(0, out, 0, in, w.data(), in, 1);
    x[5 * in + 36] = std::nanf("");
    x[9 * in] = HUGE_VALF;
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act) {
      backend->linear(
          {weight.get(), x.data(), in, y.data(), out, rows, true, static_cast<Activation>(act), nullptr, 0});
      for (int64_t i = 0; i < rows * out; ++i) {
        const int64_t row = i / out;
        CHECK(std::isnan(y[i]) == (row == 5));
        if (row != 5 && row != 9) CHECK(std::isfinite(y[i]));
      }
    }
  }
}
