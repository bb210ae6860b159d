// What the op cases on the emulated target do not see: that the emulation itself does what the manual says, that
// kernels touch nothing beside their buffers, and that no thread keeps tiles.
#if defined(VED_AMX_EMULATOR)
#include <cmath>
#include <stdexcept>

#include "amx/tiles.h"
#include "op_support.h"
#include "ops/cpu/kernel_table.h"

namespace ved::ops::cpu {
extern const GemmKernels kBf16Emulated, kInt8Emulated;
}

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

struct Config {
  unsigned char bytes[64] = {1};
  Config& tile(int index, int rows, int rowBytes) {
    bytes[16 + 2 * index] = static_cast<unsigned char>(rowBytes);
    bytes[48 + index] = static_cast<unsigned char>(rows);
    return *this;
  }
};

bool refused(const std::function<void()>& use) {
  tiles::throwOnMisuse(true);
  bool thrown = false;
  try {
    use();
  } catch (const std::logic_error&) {
    thrown = true;
  }
  tiles::throwOnMisuse(false);
  return thrown;
}

// One row of sums out of `depth` units: the tiles are 0 (sums), 1 (operand), 2 (weights, one column).
template <class Number>
Number dotOf(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b, Number sum) {
  const int depth = static_cast<int>(a.size());
  tiles::loadConfig(Config().tile(0, 1, 4).tile(1, 1, 4 * depth).tile(2, depth, 4).bytes);
  tiles::load(0, &sum, 4);
  tiles::load(1, a.data(), 64);
  tiles::load(2, b.data(), 4);
  if constexpr (std::is_same_v<Number, float>)
    tiles::dotBf16(0, 1, 2);
  else
    tiles::dotInt8(0, 1, 2);
  tiles::store(0, &sum, 4);
  tiles::release();
  return sum;
}

uint32_t pair(float low, float high) { return bfloat16Bits(low) | static_cast<uint32_t>(bfloat16Bits(high)) << 16; }
uint32_t quad(int a, int b, int c, int d) {
  const auto byte = [](int x) { return static_cast<uint32_t>(x) & 0xffu; };
  return byte(a) | byte(b) << 8 | byte(c) << 16 | byte(d) << 24;
}

// Memory with fences of NaN on both sides that neither tiles may touch nor sums may show.
class Fenced {
 public:
  explicit Fenced(size_t words) : words_(words), store_(words + 2 * kFence, 0xffffffffu) {
    tiles::forbid(store_.data(), kFence * 4);
    tiles::forbid(store_.data() + kFence + words, kFence * 4);
  }
  Fenced(Fenced&&) = delete;
  ~Fenced() { tiles::liftAll(); }
  uint32_t* data() { return store_.data() + kFence; }
  bool intact() const {
    for (size_t i = 0; i < kFence; ++i)
      if (~store_[i] || ~store_[kFence + words_ + i]) return false;
    return true;
  }

 private:
  static constexpr size_t kFence = 2048;
  size_t words_;
  std::vector<uint32_t> store_;
};

double weightOf(uint32_t unit, int part, bool bf16) {
  return bf16 ? static_cast<double>(bfloat16ToFloat(static_cast<uint16_t>(unit >> (16 * part))))
              : static_cast<double>(static_cast<int8_t>(unit >> (8 * part)));
}

void checkPanel(const cpu::GemmKernels& g, bool bf16, int64_t rows, int64_t k, bool half) {
  Random random(static_cast<uint64_t>(rows * 1000 + k));
  const int64_t units = g.units(k), width = 32, used = half ? 16 : 32;
  std::vector<float> x(static_cast<size_t>(rows * k));
  random.fill(x.data(), x.size());
  // Integers with 127 among them are their own int8.
  for (size_t i = 0; !bf16 && i < x.size(); ++i) x[i] = static_cast<float>(random.below(255) - 127);
  for (int64_t r = 0; !bf16 && r < rows; ++r) x[r * k + r % k] = 127;
  Fenced a(static_cast<size_t>(rows * g.elements(k))), w(static_cast<size_t>(units * width));
  Fenced c(static_cast<size_t>(rows * width));
  std::vector<float> scale(static_cast<size_t>(rows), 1.0f);
  g.packOperand(x.data(), k, rows, k, a.data(), scale.data());
  for (int64_t i = 0; i < units * width; ++i) {
    const bool last = i / width == units - 1;
    uint32_t unit = 0;
    for (int part = 0; part < g.unit && (!last || (units - 1) * g.unit + part < k); ++part)
      unit |= bf16 ? static_cast<uint32_t>(bfloat16Bits(2 * static_cast<float>(random.uniform()) - 1)) << (16 * part)
                   : static_cast<uint32_t>(random.below(255) - 127) % 256 << (8 * part);
    w.data()[i] = unit;
  }
  g.configure(rows);
  (half ? g.half : g.panel)[rows](a.data(), w.data(), units, c.data(), width, k % 2 ? w.data() : nullptr, units);
  g.release();
  CHECK(a.intact() && w.intact() && c.intact());
  const std::string what =
      std::to_string(rows) + "x" + std::to_string(k) + (half ? " half" : "") + (bf16 ? " bf16" : "");
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t n = 0; n < width; ++n) {
      const uint32_t got = c.data()[r * width + n];
      if (n >= used) {
        CHECK_EQ(got, 0xffffffffu);
        continue;
      }
      double want = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double factor =
            bf16 ? bfloat16ToFloat(bfloat16Bits(x[r * k + i])) : std::nearbyint(x[r * k + i] * (1.0f / scale[r]));
        want += factor * weightOf(w.data()[i / g.unit * width + n], static_cast<int>(i % g.unit), bf16);
      }
      float sum;
      std::memcpy(&sum, &got, 4);
      const double value = bf16 ? static_cast<double>(sum) : static_cast<double>(static_cast<int32_t>(got));
      if (!checkClose(value, want, bf16 ? 1e-5 * std::sqrt(static_cast<double>(k)) : 0, what)) return;
    }
}

}  // namespace

VED_TEST(amx_tiles_refuse_misuse) {
  CHECK(refused([] { tiles::zero(0); }));  // before LDTILECFG
  float memory[1024] = {};
  Config config;
  config.tile(0, 2, 8).tile(1, 2, 12).tile(2, 3, 8).tile(3, 2, 16).tile(4, 4, 6);
  tiles::loadConfig(config.bytes);
  CHECK_EQ(tiles::counts().configured, int64_t{1});
  tiles::load(0, memory, 8);
  tiles::dotBf16(0, 1, 2);
  CHECK(refused([&] { tiles::load(5, memory, 64); }));  // not configured
  CHECK(refused([&] { tiles::load(8, memory, 64); }));  // no such tile
  CHECK(refused([&] { tiles::store(1, memory, 8); }));  // rows overlap
  CHECK(refused([&] { tiles::load(1, memory, -12); }));
  CHECK(refused([] { tiles::dotBf16(0, 3, 2); }));  // k differs
  CHECK(refused([] { tiles::dotInt8(3, 1, 2); }));  // columns differ
  CHECK(refused([] { tiles::dotInt8(2, 1, 2); }));  // a tile twice
  CHECK(refused([] { tiles::dotInt8(0, 1, 4); }));  // no whole elements
  tiles::forbid(memory + 8, 4);
  tiles::load(1, memory, 20);                           // floats 0 to 2 and 5 to 7
  CHECK(refused([&] { tiles::load(1, memory, 24); }));  // 6 to 8
  CHECK(refused([&] { tiles::store(1, memory + 8, 12); }));
  tiles::liftAll();
  tiles::load(1, memory, 24);
  tiles::release();
  CHECK(refused([] { tiles::zero(0); }));
  CHECK_EQ(tiles::counts().configured, int64_t{0});
  const auto badly = [](int at, unsigned char value) {
    return refused([&] {
      Config c;
      c.tile(0, 16, 64).bytes[at] = value;
      tiles::loadConfig(c.bytes);
    });
  };
  CHECK(!badly(0, 1));
  tiles::release();
  CHECK(badly(0, 2) && badly(1, 1) && badly(9, 1));  // palette, start row, reserved
  CHECK(badly(48, 17) && badly(16, 65));             // too large
  CHECK(badly(48, 0) && badly(16, 0));               // half configured
  CHECK(badly(56, 1) && badly(32, 4));               // the ninth tile
}

VED_TEST(amx_tiles_compute_what_the_manual_says) {
  CHECK_EQ(dotOf<int32_t>({quad(-128, 127, 3, -1)}, {quad(-128, -128, 5, 7)}, 1000), 1000 + 16384 - 16256 + 15 - 7);
  CHECK_EQ(dotOf<int32_t>({quad(1, 0, 0, 0)}, {quad(1, 0, 0, 0)}, INT32_MAX), INT32_MIN);  // wraps
  CHECK_EQ(dotOf<float>({pair(2, 3)}, {pair(5, 7)}, 0.5f), 31.5f);
  // Products are summed among themselves before they meet the old sum: 2^24 + 1 + 1 one by one would stay 2^24.
  CHECK_EQ(dotOf<float>({pair(1, 0), pair(1, 0)}, {pair(1, 0), pair(1, 0)}, 16777216.0f), 16777218.0f);
  // The lower halves in one sum, the upper ones in another: 1 after 2^24 is lost in each.
  const float large = 16777216.0f;
  CHECK_EQ(dotOf<float>({pair(large, 1), pair(1, 1)}, {pair(1, 1), pair(1, 1)}, 0), 16777218.0f);
  // Even and odd sums meet with one rounding: 2^24 + 1 is a tie, to even.
  CHECK_EQ(dotOf<float>({pair(large, 1)}, {pair(1, 1)}, 0), large);
  // Denormal factors, sums and results are zero.
  const float tiny = 1e-39f, small = 1.5e-20f;
  CHECK_EQ(dotOf<float>({pair(tiny, 0)}, {pair(large, 0)}, 0), 0.0f);
  CHECK_EQ(dotOf<float>({pair(small, 0)}, {pair(small, 0)}, 0), 0.0f);
  CHECK_EQ(dotOf<float>({pair(0, 0)}, {pair(0, 0)}, tiny), 0.0f);
  CHECK(std::isnan(dotOf<float>({pair(0, 0)}, {pair(HUGE_VALF, 0)}, 0)));
}

VED_TEST(amx_panels_stay_within_their_buffers) {
  if (!amxTarget()) SKIP("no AVX-512 with BF16");
  for (const bool half : {false, true})
    for (int64_t rows = 1; rows <= 32; ++rows)
      for (const int64_t k : {1, 2, 15, 31, 32, 33, 63, 64, 65, 100, 129, 197}) {
        checkPanel(cpu::kBf16Emulated, true, rows, k, half);
        checkPanel(cpu::kInt8Emulated, false, rows, k, half);
      }
}

// Integers are summed exactly, and scaled by the same code.
VED_TEST(amx_int8_has_the_bits_of_vnni) {
  if (!amxTarget()) SKIP("no AVX-512 with BF16");
  const int64_t in = 300, out = 75, rows = 37;
  Random random(3);
  std::vector<float> w(in * out), x(rows * in), y(rows * out), want(rows * out);
  random.fill(w.data(), w.size());
  random.fill(x.data(), x.size());
  for (const ComputeType type : {ComputeType::Int8, ComputeType::Int8Fine}) {
    const auto run = [&](Backend& backend, std::vector<float>& to) {
      const auto weight = backend.makeLinear(in, out, false, type);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->seal();
      backend.linear({weight.get(), x.data(), in, to.data(), out, rows});
    };
    run(*makeCpuBackend(CpuIsa::Avx512, 1), want);
    run(*amxTarget()->make(2), y);
    CHECK(sameBits(y.data(), want.data(), y.size()));
  }
}

VED_TEST(amx_state_is_set_once_per_task_and_dropped) {
  if (!amxTarget()) SKIP("no AVX-512 with BF16");
  for (const ComputeType type : amxTarget()->types) {
    const int64_t in = 70, out = 330, rows = 16;
    std::vector<float> w(in * out, 0.5f), x(rows * in, 1.0f), y(rows * out);
    for (const int threads : {1, 3}) {
      const auto backend = amxTarget()->make(threads);
      const auto weight = backend->makeLinear(in, out, false, type);
      weight->setBlock(0, out, 0, in, w.data(), in, 1);
      weight->seal();
      const tiles::Counts before = tiles::counts();
      backend->linear({weight.get(), x.data(), in, y.data(), out, rows});
      const tiles::Counts after = tiles::counts();
      CHECK_EQ(after.configured, int64_t{0});
      CHECK(after.dots > before.dots);
      if (threads == 1) CHECK_EQ(after.configurations - before.configurations, int64_t{1});
    }
  }
}
#endif
