// Reading and packing of matrices: the same bits on any number of threads, typed errors out of any of them.
#include "plan/loader.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

constexpr int64_t kIn = 1030;  // not a multiple of any unit of four

// A matrix of three parts: rows that end within a panel, a transposed part larger than a chunk, rows of several chunks.
struct Checkpoint {
  std::filesystem::path path;
  TensorTable table;
  spec::Linear linear;
  std::vector<float> matrix, bias;  // what the file holds, [out, in] and [out]

  explicit Checkpoint(bool finite = true) {
    static int serial = 0;
    path = std::filesystem::temp_directory_path() /
           ("ved-loader-" + std::to_string(reinterpret_cast<uintptr_t>(this)) + "-" + std::to_string(serial++));
    Random random(11);
    std::vector<unsigned char> bytes(7);  // tensors need not be aligned
    add(bytes, random, 45, DType::BF16, spec::LinearLayout::OutIn, finite);
    add(bytes, random, 300, DType::F32, spec::LinearLayout::InOut, finite);
    add(bytes, random, 333, DType::F16, spec::LinearLayout::OutIn, finite);
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    table.files.push_back({path.string(), static_cast<int64_t>(bytes.size())});
  }
  ~Checkpoint() { std::filesystem::remove(path); }
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  void add(std::vector<unsigned char>& bytes, Random& random, int64_t out, DType dtype, spec::LinearLayout layout,
           bool finite) {
    const int64_t row = linear.out;
    std::vector<float> stored(static_cast<size_t>(out * kIn));
    random.fill(stored.data(), stored.size());
    if (!finite) stored[stored.size() / 2] = std::numeric_limits<float>::infinity();
    spec::LinearPart part{addTensor(bytes, stored, dtype), std::nullopt, layout, out};
    std::vector<float> values(static_cast<size_t>(out));
    random.fill(values.data(), values.size());
    part.bias = addTensor(bytes, values, DType::F32);
    bias.insert(bias.end(), values.begin(), values.end());
    for (int64_t n = 0; n < out; ++n)
      for (int64_t k = 0; k < kIn; ++k)
        matrix.push_back(stored[static_cast<size_t>(layout == spec::LinearLayout::OutIn ? n * kIn + k : k * out + n)]);
    linear.parts.push_back(part);
    linear.in = kIn;
    linear.out = row + out;
  }

  // Rounds `values` to what the type can hold.
  int32_t addTensor(std::vector<unsigned char>& bytes, std::vector<float>& values, DType dtype) {
    const int64_t offset = static_cast<int64_t>(bytes.size());
    for (float& v : values) {
      unsigned char raw[4];
      if (dtype == DType::F32) {
        std::memcpy(raw, &v, 4);
      } else {
        // Of both 16-bit types only such values are drawn here that 8 bits of a half with a fixed exponent hold.
        const uint16_t bits = std::isfinite(v) ? static_cast<uint16_t>(0x3400 | (static_cast<int>(v * 127) & 0xff) << 2)
                                               : static_cast<uint16_t>(dtype == DType::F16 ? 0x7c00 : 0x7f80);
        v = dtype == DType::F16 ? halfToFloat(bits) : bfloat16ToFloat(bits);
        std::memcpy(raw, &bits, 2);
      }
      bytes.insert(bytes.end(), raw, raw + (dtype == DType::F32 ? 4 : 2));
    }
    TensorPlace place{"t" + std::to_string(table.tensors.size()),
                      FileRange{0, offset},
                      static_cast<int64_t>(bytes.size()) - offset,
                      dtype,
                      {static_cast<int64_t>(values.size())}};
    table.tensors.push_back(place);
    return static_cast<int32_t>(table.tensors.size()) - 1;
  }
};

std::vector<float> products(Backend& backend, const LinearWeight& weight) {
  Random random(12);
  const int64_t rows = 3;
  std::vector<float> x(static_cast<size_t>(rows * weight.in)), y(static_cast<size_t>(rows * weight.out));
  random.fill(x.data(), x.size());
  backend.linear({&weight, x.data(), weight.in, y.data(), weight.out, rows});
  return y;
}

bool sameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::string codeOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.code();
  }
  return "none";
}

const std::function<bool()> kGoOn = [] { return true; };

}  // namespace

VED_TEST(half_precision_is_widened_exactly) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    const float got = halfToFloat(static_cast<uint16_t>(bits));
    CHECK_EQ(std::signbit(got), bits >> 15 != 0);
    if (exponent == 31) {
      CHECK(mantissa ? std::isnan(got) : std::isinf(got));
      continue;
    }
    const double want = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
    CHECK_EQ(static_cast<double>(std::fabs(got)), want);
  }
}

VED_TEST(loader_packs_the_same_bits_on_any_number_of_threads) {
  const Checkpoint file;
  for (const CpuIsa isa : availableIsas())
    for (const ComputeType type : kTypes) {
      const auto one = makeCpuBackend(isa, 1);
      const auto direct = one->makeLinear(kIn, file.linear.out, true, type);
      direct->setBlock(0, file.linear.out, 0, kIn, file.matrix.data(), kIn, 1);
      direct->setBias(0, file.linear.out, file.bias.data());
      direct->seal();
      const std::vector<float> want = products(*one, *direct);
      for (const int threads : {1, 2, 4}) {
        const auto backend = makeCpuBackend(isa, threads);
        plan::Loader load(file.table, *backend, type, kGoOn);
        const plan::LinearPtr weight = load.linear(file.linear), again = load.linear(file.linear);
        load.packPending();
        CHECK(load.bytes >= 2 * weight->bytes());
        CHECK(sameBits(products(*one, *weight), want));
        CHECK(sameBits(products(*backend, *again), want));
      }
    }
}

VED_TEST(loader_scales_outputs_while_packing) {
  Checkpoint file;
  Random random(13);
  std::vector<float> scale(static_cast<size_t>(file.linear.out));
  random.fill(scale.data(), scale.size());
  const auto backend = makeCpuBackend(CpuIsa::Auto, 3);
  for (int64_t n = 0; n < file.linear.out; ++n) {
    for (int64_t k = 0; k < kIn; ++k) file.matrix[n * kIn + k] *= scale[n];
    file.bias[n] *= scale[n];
  }
  for (const ComputeType type : kTypes) {
    const auto direct = backend->makeLinear(kIn, file.linear.out, true, type);
    direct->setBlock(0, file.linear.out, 0, kIn, file.matrix.data(), kIn, 1);
    direct->setBias(0, file.linear.out, file.bias.data());
    plan::Loader load(file.table, *backend, type, kGoOn);
    const plan::LinearPtr weight = load.linear(file.linear, scale.data(), type);
    std::fill(scale.begin(), scale.end(), 0.0f);  // the caller's array is not needed any more
    load.packPending();
    CHECK(sameBits(products(*backend, *weight), products(*backend, *direct)));
    Random same(13);
    same.fill(scale.data(), scale.size());
  }
}

VED_TEST(loader_int8_marks_outputs_that_are_not_finite) {
  const Checkpoint file(false);
  const auto backend = makeCpuBackend(CpuIsa::Auto, 2);
  plan::Loader load(file.table, *backend, ComputeType::Int8, kGoOn);
  const plan::LinearPtr weight = load.linear(file.linear);
  load.packPending();
  const std::vector<float> y = products(*backend, *weight);
  int64_t broken = 0;
  for (int64_t n = 0; n < file.linear.out; ++n) {
    bool finite = true;
    for (int64_t k = 0; k < kIn; ++k) finite = finite && std::isfinite(file.matrix[n * kIn + k]);
    CHECK_EQ(std::isfinite(y[n]), finite);
    broken += !finite;
  }
  CHECK_EQ(broken, int64_t{3});
}

VED_TEST(loader_errors_come_out_of_any_thread) {
  for (const int threads : {1, 4}) {
    const auto backend = makeCpuBackend(CpuIsa::Auto, threads);
    Checkpoint file;
    const auto load = [&](const std::function<bool()>& keepGoing) {
      plan::Loader loader(file.table, *backend, ComputeType::BFloat16, keepGoing);
      const plan::LinearPtr weight = loader.linear(file.linear);
      loader.packPending();
    };
    CHECK_EQ(codeOf([&] { load(kGoOn); }), std::string("none"));
    std::atomic<int> calls{0};
    CHECK_EQ(codeOf([&] { load([&] { return ++calls < 6; }); }), std::string("ABORTED"));
    file.table.tensors[4].shape = {kIn};
    file.table.tensors[4].byteLength = 2 * kIn;
    CHECK_EQ(codeOf([&] { load(kGoOn); }), std::string("SHAPE_MISMATCH"));

    // Shorter once it has been opened: the bias of the first part still comes, matrices end early.
    Checkpoint shrinking;
    plan::Loader loader(shrinking.table, *backend, ComputeType::Float32, kGoOn);
    const plan::LinearPtr weight = loader.linear(shrinking.linear);
    std::filesystem::resize_file(shrinking.path, 5000);
    CHECK_EQ(codeOf([&] { loader.packPending(); }), std::string("WEIGHTS_READ_FAILED"));
    CHECK_EQ(codeOf([&] {
               plan::Loader later(shrinking.table, *backend, ComputeType::Float32, kGoOn);
               later.linear(shrinking.linear);
             }),
             std::string("WEIGHTS_CHANGED"));
  }
}

VED_TEST(loader_int8_keeps_what_is_sensitive_higher) {
  const auto backend = makeCpuBackend(CpuIsa::Auto, 1);
  for (const int64_t width : {128, 255, 256, 768}) {
    TensorTable table;
    auto owned = std::make_shared<OwnedTensors>();
    const auto matrix = [&](int64_t in, int64_t out) {
      NewTensor created;
      created.name = "m";
      created.shape = {out, in};
      table.created.push_back(created);
      owned->push_back(std::vector<float>(static_cast<size_t>(in * out), 0.5f));
      const int32_t index = static_cast<int32_t>(table.tensors.size());
      table.tensors.push_back({"m", MemoryBuffer{index}, 4 * in * out, DType::F32, {out, in}});
      spec::Linear linear;
      linear.in = in;
      linear.out = out;
      linear.parts.push_back({index, std::nullopt, spec::LinearLayout::OutIn, out});
      return linear;
    };
    spec::Mlp mlp;
    mlp.up = matrix(width, 300);
    mlp.down = matrix(300, width);
    table.owned = owned;
    plan::Loader load(table, *backend, ComputeType::Int8, kGoOn);
    const plan::MlpWeights weights = load.encoderMlp(mlp, nullptr);
    const ComputeType want = width < 256 ? ComputeType::BFloat16 : ComputeType::Int8;
    CHECK(weights.up->type == want && weights.down->type == want);
    const plan::LinearPtr patches = load.patchProjection(mlp.up), head = load.head(mlp.up), inner = load.linear(mlp.up);
    CHECK(patches->type == ComputeType::BFloat16 && head->type == ComputeType::Int8Fine);
    CHECK(inner->type == ComputeType::Int8);
    load.packPending();
  }
}
