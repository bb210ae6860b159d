// kernels_bench [threads] [isa[-base]] [float32|bfloat16|int8] [encoder|decode|attention]: the shapes of ViT-B/16
// encoders and GPT-2-small-like decode steps. -base: without the extensions this processor has beyond the set. Columns:
// median and best; the shares are of a ceiling measured just before the line (GFLOP/s of multiply-adds, or GB/s of
// reading).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ceilings.h"
#include "core/aligned.h"
#include "ops/backend.h"

namespace {

using namespace ved;
using namespace ved::ops;

struct Bench {
  Backend& backend;
  bench::Ceilings& ceilings;
  ComputeType type;
  double operations() const { return ceilings.gflops(type); }
  ComputeType headType() const { return type == ComputeType::Int8 ? ComputeType::Int8Fine : type; }
  int64_t bytesPerWeight() const { return type == ComputeType::Float32 ? 4 : type == ComputeType::BFloat16 ? 2 : 1; }
};

std::vector<float> randomFloats(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  uint32_t s = 12345;
  for (float& x : v) s = s * 1664525u + 1013904223u, x = static_cast<float>(s >> 8) / 16777216.0f - 0.5f;
  return v;
}

struct Times {
  double median, best;
};

template <class F>
Times measure(F f, double budget = 0.15) {
  f();
  std::vector<double> t;
  for (const double begin = bench::seconds(); t.size() < 5 || (bench::seconds() - begin < budget && t.size() < 400);) {
    const double start = bench::seconds();
    f();
    t.push_back(bench::seconds() - start);
  }
  std::sort(t.begin(), t.end());
  return {t[t.size() / 2], t.front()};
}

void line(const std::string& what, Times t, double work, double ceiling, const char* unit) {
  std::printf("%-34s %9.1f us  %7.1f %s (best %7.1f)", what.c_str(), t.median * 1e6, work / t.median * 1e-9, unit,
              work / t.best * 1e-9);
  if (ceiling > 0)  // not every instruction set has one measured
    std::printf("  %3.0f %% (best %3.0f %%)", 100e-9 * work / t.median / ceiling, 100e-9 * work / t.best / ceiling);
  std::printf("\n");
  std::fflush(stdout);
}

std::unique_ptr<LinearWeight> makeWeight(const Bench& b, int64_t in, int64_t out, ComputeType type) {
  const std::vector<float> w = randomFloats(in * out);
  auto weight = b.backend.makeLinear(in, out, true, type);
  weight->setBlock(0, out, 0, in, w.data(), in, 1);
  weight->seal();
  return weight;
}

void encoderLinear(const Bench& b, int64_t m, int64_t k, int64_t n, Activation act, bool residual) {
  const auto weight = makeWeight(b, k, n, b.type);
  const std::vector<float> x = randomFloats(m * k);
  std::vector<float> y(static_cast<size_t>(m * n), 0.0f);
  const LinearArgs a{weight.get(), x.data(), k, y.data(), n, m, true, act, residual ? y.data() : nullptr, n};
  const std::string name = "linear " + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) +
                           (act == Activation::Gelu ? " gelu" : "") + (residual ? " +res" : "");
  line(name, measure([&] { b.backend.linear(a); }), 2.0 * m * k * n, b.operations(), "GFLOP/s");
}

// Weights are rotated through more memory than any cache holds, as a decode step does.
void decodeLinear(const Bench& b, int64_t m, int64_t k, int64_t n, ComputeType type) {
  const int64_t copies = std::max<int64_t>(1, (int64_t{192} << 20) / (k * n * b.bytesPerWeight()));
  std::vector<std::unique_ptr<LinearWeight>> weights;
  for (int64_t i = 0; i < copies; ++i) weights.push_back(makeWeight(b, k, n, type));
  const std::vector<float> x = randomFloats(m * k);
  std::vector<float> y(static_cast<size_t>(m * n));
  size_t next = 0;
  const Times t = measure([&] {
    b.backend.linear(
        {weights[next++ % weights.size()].get(), x.data(), k, y.data(), n, m, true, Activation::Identity, nullptr, 0});
  });
  line("decode " + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n), t,
       static_cast<double>(b.bytesPerWeight() * k * n), b.ceilings.gbytes(), "GB/s   ");
}

void encoderAttention(const Bench& b, int64_t tokens) {
  const int64_t heads = 12, headDim = 64, width = heads * headDim;
  const std::vector<float> qkv = randomFloats(tokens * 3 * width);
  std::vector<float> out(static_cast<size_t>(tokens * width));
  const Times t = measure([&] {
    b.backend.encoderAttention({qkv.data(), out.data(), 1, tokens, heads, headDim, 0.125f, nullptr, b.type});
  });
  line("encoder attention T " + std::to_string(tokens), t, 4.0 * tokens * tokens * width, b.operations(), "GFLOP/s");
}

// Caches in the type a decoder of this type has, rotated as the weights are: every token has an image of its own.
void cachedAttention(const Bench& b, int64_t tokens, int64_t length) {
  const int64_t heads = 12, headDim = 64, width = heads * headDim;
  const CacheType cacheType = b.type == ComputeType::Float32 ? CacheType::Float32 : CacheType::BFloat16;
  const int64_t bytes = 2 * length * width * cacheElementBytes(cacheType);  // of a token's keys and values
  const int64_t slots = std::max(tokens, (int64_t{192} << 20) / bytes / tokens * tokens);
  const AlignedFloats keys(static_cast<size_t>(slots * bytes / 8)), values(static_cast<size_t>(slots * bytes / 8));
  std::memset(const_cast<float*>(keys.data()), 0x3c, keys.size() * sizeof(float));
  std::memset(const_cast<float*>(values.data()), 0x3c, values.size() * sizeof(float));
  const std::vector<float> q = randomFloats(tokens * width);
  std::vector<float> out(q.size());
  std::vector<int32_t> slot(static_cast<size_t>(tokens)), lengths(slot.size(), static_cast<int32_t>(length));
  int64_t next = 0;
  const Times t = measure([&] {
    for (int32_t& s : slot) s = static_cast<int32_t>(next++ % slots);
    CachedAttentionArgs a{q.data(), width, keys.data(), values.data(), length,      out.data(),     width,
                          tokens,   heads, headDim,     0.125f,        slot.data(), lengths.data(), nullptr};
    a.cacheType = cacheType;
    b.backend.cachedAttention(a);
  });
  line("cached attention " + std::to_string(tokens) + " x " + std::to_string(length), t,
       static_cast<double>(tokens * bytes), b.ceilings.gbytes(), "GB/s   ");
}

void rowOps(const Bench& b) {
  const int64_t rows = 577, width = 768, vocab = 50257;
  const std::vector<float> x = randomFloats(rows * width), gamma = randomFloats(width), logits = randomFloats(vocab);
  std::vector<float> y(x.size());
  line("layerNorm 577x768", measure([&] {
         b.backend.layerNorm({x.data(), width, y.data(), width, rows, width, gamma.data(), gamma.data(), 1e-6f});
       }),
       8.0 * rows * width, b.ceilings.gbytes(), "GB/s   ");
  RowSummary s;
  line("summarize 50257", measure([&] { b.backend.summarize(logits.data(), vocab, 1, vocab, &s); }), 4.0 * vocab,
       b.ceilings.gbytes(), "GB/s   ");
}

ComputeType parseType(const char* name) {
  for (const ComputeType type : {ComputeType::BFloat16, ComputeType::Int8})
    if (!std::strcmp(name, computeTypeName(type))) return type;
  return ComputeType::Float32;
}

CpuIsa parseIsa(const char* name) {
  for (const CpuIsa isa : {CpuIsa::Scalar, CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Neon})
    if (!std::strncmp(name, cpuIsaName(isa), std::strlen(cpuIsaName(isa)))) return isa;
  return bestCpuIsa();
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const CpuIsa isa = argc > 2 ? parseIsa(argv[2]) : bestCpuIsa();
  const bool base = argc > 2 && std::strstr(argv[2], "-base");
  const auto backend = makeCpuBackend(isa, threads, base ? CpuExtensions::None : CpuExtensions::Detected);
  bench::useProcessorTime(threads == 1);
  bench::Ceilings ceilings(isa, threads);
  const Bench b{*backend, ceilings, argc > 3 ? parseType(argv[3]) : ComputeType::Float32};
  std::printf("%s %s, %d threads; ceilings now: %.0f GFLOP/s, read %.1f GB/s\n", backend->name().c_str(),
              computeTypeName(b.type), threads, b.operations(), ceilings.gbytes());
  const std::string part = argc > 4 ? argv[4] : "";
  for (const int64_t m : {197, 577}) {
    if (part == "decode" || part == "attention") break;
    encoderLinear(b, m, 768, 768, Activation::Identity, true);
    encoderLinear(b, m, 768, 2304, Activation::Identity, false);
    encoderLinear(b, m, 768, 3072, Activation::Gelu, false);
    encoderLinear(b, m, 3072, 768, Activation::Identity, true);
    encoderAttention(b, m);
  }
  for (const int64_t m : {1, 4, 8, 16, 40}) {
    if (part == "encoder" || part == "attention") break;
    decodeLinear(b, m, 768, 768, b.type);
    decodeLinear(b, m, 768, 3072, b.type);
    decodeLinear(b, m, 3072, 768, b.type);
    decodeLinear(b, m, 768, 50257, b.headType());
  }
  for (const int64_t m : {1, 8}) {
    if (part == "encoder" || part == "decode") break;
    cachedAttention(b, m, 197);
    cachedAttention(b, m, 577);
  }
  rowOps(b);
  return 0;
}
