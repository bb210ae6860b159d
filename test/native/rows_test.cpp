// LayerNorm, activations, element-wise ops and the summary of logits.
#include <cmath>
#include <limits>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

void checkNorm(Backend& backend, NormKind kind, int64_t rows, int64_t width, float offset, bool inPlace,
               uint64_t seed) {
  Random random(seed);
  const int64_t ldx = width + 3, ldy = inPlace ? ldx : width + 1;
  Guarded x(static_cast<size_t>(rows * ldx), random, 2.0f), y(static_cast<size_t>(rows * ldy));
  Guarded gamma(static_cast<size_t>(width), random), beta(static_cast<size_t>(width), random);
  for (size_t i = 0; i < x.size(); ++i) x[i] += offset;
  std::vector<float> want(static_cast<size_t>(rows * width));
  LayerNormArgs a{x.data(), ldx, want.data(), width, rows, width, gamma.data(), beta.data(), 1e-5f, kind};
  if (kind == NormKind::Rms) a.beta = nullptr;
  makeReferenceBackend()->layerNorm(a);
  Guarded& out = inPlace ? x : y;
  a.y = out.data(), a.ldy = ldy;
  backend.layerNorm(a);
  for (int64_t r = 0; r < rows; ++r) {
    // The mean is off by at most width eps max|x|; seen relative to the deviation, which for width >= 2 is of order 1.
    double largest = 0;
    for (int64_t i = 0; i < width; ++i)
      largest = std::max(largest, std::fabs(static_cast<double>(want[r * width + i])));
    const double tol = 400.0 * kEps * (2.0 + std::fabs(offset)) * (1.0 + largest);
    for (int64_t i = 0; i < width; ++i)
      if ((width > 2 || kind == NormKind::Rms) && !checkClose(out[r * ldy + i], want[r * width + i], tol,
                                                              backend.name() + " layerNorm " + std::to_string(width)))
        return;
    if (!inPlace)
      for (int64_t i = width; i < ldy; ++i) CHECK(y.untouched(static_cast<size_t>(r * ldy + i)));
  }
  CHECK(out.intact());
}

}  // namespace

VED_TEST(layer_norm_every_width) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (const NormKind kind : {NormKind::Layer, NormKind::Rms}) {
      for (int64_t width = 1; width <= 70; ++width) {
        checkNorm(*backend, kind, 3, width, 0.0f, false, static_cast<uint64_t>(width));
        checkNorm(*backend, kind, 2, width, 5.0f, true, 100u + static_cast<uint64_t>(width));
      }
      checkNorm(*backend, kind, 131, 769, 3.0f, false, 9);
      checkNorm(*backend, kind, 131, 768, 100.0f, true, 10);
    }
  }
}

// (3, 4) has the root mean square 5 / sqrt(2); an offset stays, because no mean is taken away.
VED_TEST(layer_norm_rms_by_hand) {
  for (const Target& target : targets()) {
    const auto backend = target.make(1);
    const float x[] = {3.0f, 4.0f}, gamma[] = {1.0f, -2.0f};
    float y[2];
    backend->layerNorm({x, 2, y, 2, 1, 2, gamma, nullptr, 0.0f, NormKind::Rms});
    checkClose(y[0], 3.0 * std::sqrt(2.0) / 5.0, 8 * kEps, backend->name());
    checkClose(y[1], -8.0 * std::sqrt(2.0) / 5.0, 8 * kEps, backend->name());
    const float zero[] = {0.0f, 0.0f};
    backend->layerNorm({zero, 2, y, 2, 1, 2, gamma, nullptr, 1e-6f, NormKind::Rms});
    for (const float value : y) CHECK_EQ(value, 0.0f);
  }
}

// One value per row has no deviation: the output is exactly beta.
VED_TEST(layer_norm_of_constants) {
  for (const Target& target : targets()) {
    const auto backend = target.make(1);
    const float x[] = {0.5f, 0.5f, 0.5f, 0.5f}, gamma[] = {1, 2, 3, 4}, beta[] = {5, 6, 7, 8};
    float y[4];
    backend->layerNorm({x, 4, y, 4, 1, 4, gamma, beta, 1e-12f});
    for (int i = 0; i < 4; ++i) CHECK_EQ(y[i], beta[i]);
    backend->layerNorm({x, 1, y, 1, 4, 1, gamma, beta, 1e-12f});
    for (int i = 0; i < 4; ++i) CHECK_EQ(y[i], 5.0f);
  }
}

VED_TEST(activations_dense) {
  const auto reference = makeReferenceBackend();
  for (const Target& target : targets()) {
    const auto backend = target.make(1);
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act) {
      const auto kind = static_cast<Activation>(act);
      std::vector<float> got, want;
      for (int i = -40000; i <= 40000; ++i) got.push_back(static_cast<float>(i) * 1e-3f);
      for (int e = -40; e <= 5; ++e) got.push_back(std::ldexp(1.1f, e)), got.push_back(-std::ldexp(1.1f, e));
      const std::vector<float> x = got;
      want = got;
      const auto n = static_cast<int64_t>(x.size());
      reference->activate({want.data(), 1, n, kind});
      backend->activate({got.data(), 1, n, kind});
      for (size_t i = 0; i < x.size(); ++i) {
        // 3e-7 |x| for the error of erf (1.5e-7) and of exp, and the rounding of the result.
        const double tol = 3e-7 * std::min(8.0, 1.0 + std::fabs(x[i])) + 4 * kEps * std::fabs(want[i]);
        if (!checkClose(got[i], want[i], tol,
                        backend->name() + " act " + std::to_string(act) + " x " + std::to_string(x[i])))
          break;
      }
    }
  }
}

VED_TEST(activations_special_values) {
  const auto reference = makeReferenceBackend();
  const float special[] = {kNan,   kInf,    -kInf, 0.0f,   -0.0f,  1e30f,  -1e30f,
                           1e-40f, -1e-40f, 88.0f, -88.0f, 150.0f, -150.0f};
  for (const Target& target : targets()) {
    const auto backend = target.make(1);
    for (int act = 0; act <= static_cast<int>(Activation::Mish); ++act)
      for (int at = 0; at < 37; ++at)  // every lane, the tail included
        for (float x : special) {
          std::vector<float> v(37, 0.25f);
          v[static_cast<size_t>(at)] = x;
          backend->activate({v.data(), 1, 37, static_cast<Activation>(act)});
          float want = x, other = 0.25f;
          reference->activate({&want, 1, 1, static_cast<Activation>(act)});
          reference->activate({&other, 1, 1, static_cast<Activation>(act)});
          if (std::isnan(want))
            CHECK(std::isnan(v[static_cast<size_t>(at)]));
          else
            checkClose(v[static_cast<size_t>(at)], want, 1e-6 + 1e-6 * std::fabs(want),
                       backend->name() + " act " + std::to_string(act) + " of " + std::to_string(x));
          checkClose(v[static_cast<size_t>(at == 0)], other, 1e-6, "neighbour");
        }
  }
}

VED_TEST(summarize_every_width) {
  const auto reference = makeReferenceBackend();
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t vocab = 1; vocab <= 70; ++vocab) {
      Random random(static_cast<uint64_t>(vocab));
      const int64_t rows = 5, ld = vocab + 7;
      Guarded logits(static_cast<size_t>(rows * ld), random, 20.0f);
      if (vocab > 3) logits[static_cast<size_t>(ld + 3)] = logits[static_cast<size_t>(ld + 1)] = 30.0f;
      RowSummary got[5], want[5];
      backend->summarize(logits.data(), ld, rows, vocab, got);
      reference->summarize(logits.data(), ld, rows, vocab, want);
      for (int r = 0; r < rows; ++r) {
        CHECK_EQ(got[r].argmax, want[r].argmax);
        CHECK_EQ(got[r].max, want[r].max);
        checkClose(got[r].logSumExp, want[r].logSumExp, kEps * (4.0 * 30 + static_cast<double>(vocab)),
                   backend->name());
      }
    }
  }
}

VED_TEST(summarize_large_and_special) {
  const auto reference = makeReferenceBackend();
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    const int64_t vocab = 50257;
    Random random(3);
    std::vector<float> logits(static_cast<size_t>(3 * vocab));
    random.fill(logits.data(), logits.size(), 12.0f);
    RowSummary got[3], want[3];
    backend->summarize(logits.data(), vocab, 3, vocab, got);
    reference->summarize(logits.data(), vocab, 3, vocab, want);
    for (int r = 0; r < 3; ++r) {
      CHECK_EQ(got[r].argmax, want[r].argmax);
      // One lane adds up to vocab / 4 terms of one sign.
      checkClose(got[r].logSumExp, want[r].logSumExp, kEps * static_cast<double>(vocab) / 4, backend->name());
    }
    auto one = [&](std::vector<float> v, int32_t argmax, float max, float sum) {
      RowSummary s;
      for (size_t pad = 0; pad < 40; ++pad) {  // the row ends in every lane
        backend->summarize(v.data(), static_cast<int64_t>(v.size()), 1, static_cast<int64_t>(v.size()), &s);
        CHECK_EQ(s.argmax, argmax);
        CHECK_EQ(s.max, max);
        if (std::isnan(sum))
          CHECK(std::isnan(s.logSumExp));
        else
          checkClose(s.logSumExp, sum, 1e-6, backend->name());
        v.push_back(-kInf);
      }
    };
    one({-kInf, 2.0f, -kInf}, 1, 2.0f, 2.0f);
    one({-kInf, -kInf}, 0, -kInf, -kInf);
    one({1.0f, kInf, kInf}, 1, kInf, kInf);
    one({kNan, 1.0f, 3.0f, 3.0f}, 2, 3.0f, kNan);
    one({kNan, kNan}, 0, -kInf, kNan);
    one({kNan, kInf}, 1, kInf, kNan);
    one({1000.0f, -1000.0f}, 0, 1000.0f, 1000.0f);
  }
}

VED_TEST(elementwise_equals_reference) {
  const auto reference = makeReferenceBackend();
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t width = 1; width <= 70; ++width) {
      Random random(static_cast<uint64_t>(width));
      const int64_t rows = width == 70 ? 2000 : 3, n = rows * width;
      Guarded y(static_cast<size_t>(n), random), x(static_cast<size_t>(n), random),
          bias(static_cast<size_t>(width), random);
      std::vector<float> want(y.data(), y.data() + n);
      reference->addBias({want.data(), rows, width, bias.data()});
      reference->add({want.data(), x.data(), rows, width});
      backend->addBias({y.data(), rows, width, bias.data()});
      backend->add({y.data(), x.data(), rows, width});
      CHECK(sameBits(y.data(), want.data(), want.size()));
      CHECK(y.intact());
    }
  }
}

VED_TEST(rows_bits_do_not_depend_on_threads) {
  for (const Target& target : targets()) {
    Random random(12);
    const int64_t rows = 157, width = 771;
    std::vector<float> x(rows * width), gamma(width), beta(width), want(rows * width), got(rows * width), one(width);
    for (auto* v : {&x, &gamma, &beta}) random.fill(v->data(), v->size());
    std::vector<RowSummary> sums(rows), wantSums(rows);
    for (const int threads : {1, 2, 4}) {
      const auto backend = target.make(threads);
      backend->layerNorm({x.data(), width, got.data(), width, rows, width, gamma.data(), beta.data(), 1e-6f});
      backend->summarize(x.data(), width, rows, width, sums.data());
      if (threads == 1) want = got, wantSums = sums;
      CHECK(sameBits(got.data(), want.data(), got.size()));
      CHECK(std::memcmp(sums.data(), wantSums.data(), sums.size() * sizeof(RowSummary)) == 0);
      backend->layerNorm({x.data() + 7 * width, width, one.data(), width, 1, width, gamma.data(), beta.data(), 1e-6f});
      CHECK(sameBits(one.data(), want.data() + 7 * width, one.size()));
    }
  }
}
