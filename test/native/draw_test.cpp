// Drawn tensors against their distributions in closed form, and against themselves on other numbers of threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/draw.h"
#include "core/error.h"
#include "core/philox.h"
#include "core/tensor_table.h"
#include "core/thread_pool.h"
#include "harness.h"

using namespace ved;

namespace {

constexpr int64_t kCount = 300007;  // several tasks, and neither a multiple of a task nor of a group
constexpr double kSqrt2 = 1.4142135623730951;

double normalCdf(double x) { return 0.5 * std::erfc(-x / kSqrt2); }

Distribution normal(double std) {
  Distribution d;
  d.kind = Distribution::Kind::Normal;
  d.std = std;
  return d;
}

Distribution truncated(double std, double low, double high) {
  Distribution d;
  d.kind = Distribution::Kind::TruncatedNormal;
  d.std = std;
  d.low = low;
  d.high = high;
  return d;
}

Distribution uniform(double low, double high) {
  Distribution d;
  d.kind = Distribution::Kind::Uniform;
  d.low = low;
  d.high = high;
  return d;
}

std::vector<float> draw(const Distribution& d, uint64_t seed, int threads = 2, const std::string& name = "w",
                        std::vector<int64_t> shape = {kCount}, int64_t zeroRow = -1) {
  ThreadPool pool(threads);
  return drawTensors({{name, std::move(shape), d, zeroRow}}, seed, pool, [] { return true; })->at(0);
}

// Kolmogorov's test: the largest distance of the empirical distribution function times sqrt(n) exceeds 1.95 once in a
// thousand samples. The seeds are fixed, so a sample that passes always passes.
template <class Cdf>
void checkDistribution(std::vector<float> values, Cdf cdf, const std::string& what) {
  std::sort(values.begin(), values.end());
  const double n = static_cast<double>(values.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double p = cdf(static_cast<double>(values[i]));
    worst = std::max({worst, p - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - p});
  }
  checkClose(worst * std::sqrt(n), 0, 1.95, what);
}

double correlation(const std::vector<float>& a, const std::vector<float>& b, size_t lag) {
  double product = 0, squares = 0;
  for (size_t i = 0; i + lag < a.size(); ++i) {
    product += static_cast<double>(a[i]) * b[i + lag];
    squares += static_cast<double>(a[i]) * a[i];
  }
  return product / squares;
}

bool refused(const NewTensor& tensor) {
  try {
    validateNewTensors({tensor});
  } catch (const Error& error) {
    return error.code() == "NEW_TENSOR";
  }
  return false;
}

}  // namespace

VED_TEST(draw_normal) {
  for (const double std : {0.02, 1.0, 37.0}) {
    test::useSeed(11);
    checkDistribution(
        draw(normal(std), 11), [&](double x) { return normalCdf(x / std); }, "normal");
  }
}

// The same formula in double with the system's functions, from the same random bits.
VED_TEST(draw_normal_equals_box_muller_in_double) {
  const std::vector<float> values = draw(normal(1), 77, 2, "");
  const Philox random(77, 0xCBF29CE484222325ull);  // the hash of an empty name
  double worst = 0;
  for (size_t group = 0; 4 * group + 3 < values.size(); ++group) {
    const Philox::Block bits = random.block(0, static_cast<uint32_t>(group));
    for (size_t pair = 0; pair < 2; ++pair) {
      const double radius = std::sqrt(-2 * std::log((bits[2 * pair] + 0.5) * 0x1p-32));
      const uint32_t quarter = bits[2 * pair + 1] >> 30, rest = bits[2 * pair + 1] & 0x3fffffffu;
      const double angle = 1.5707963267948966 * (quarter + rest * 0x1p-30 - 0.5);
      const size_t at = 4 * group + 2 * pair;
      worst = std::max(worst, std::fabs(values[at] - radius * std::cos(angle)));
      worst = std::max(worst, std::fabs(values[at + 1] - radius * std::sin(angle)));
    }
  }
  // A few roundings of float32 on values below 7; near u = 1 those of u itself show, as the square root is steep there.
  checkClose(worst, 0, 4e-4, "largest difference");
}

VED_TEST(draw_truncated_normal) {
  struct Case {
    double std, low, high;
  };
  // Never cut; cut seldom; cut to a narrow slice of a wide bell; unequal sides.
  for (const Case c : {Case{0.02, -2, 2}, Case{1, -2, 2}, Case{50, -2, 2}, Case{1, -0.3, 4}}) {
    test::useSeed(5);
    const std::vector<float> values = draw(truncated(c.std, c.low, c.high), 5);
    const double below = normalCdf(c.low / c.std), inside = normalCdf(c.high / c.std) - below;
    checkDistribution(
        values, [&](double x) { return (normalCdf(x / c.std) - below) / inside; }, "truncated normal");
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    CHECK(*least >= static_cast<float>(c.low) && *most <= static_cast<float>(c.high));
  }
}

VED_TEST(draw_uniform) {
  test::useSeed(3);
  checkDistribution(
      draw(uniform(-0.7, 0.7), 3), [](double x) { return (x + 0.7) / 1.4; }, "uniform");
}

VED_TEST(draw_values_are_independent) {
  test::useSeed(17);
  const double bound = 4 / std::sqrt(static_cast<double>(kCount));
  const std::vector<float> values = draw(normal(1), 17);
  for (const size_t lag : {1u, 2u, 3u, 4u, 5u, 768u}) checkClose(correlation(values, values, lag), 0, bound, "lag");
  checkClose(correlation(values, draw(normal(1), 18), 0), 0, bound, "another seed");
  checkClose(correlation(values, draw(normal(1), 17, 2, "v"), 0), 0, bound, "another tensor");
  checkClose(correlation(values, draw(normal(1), uint64_t{17} << 32, 2), 0), 0, bound, "a seed above 32 bits");
}

VED_TEST(draw_does_not_depend_on_threads_or_neighbours) {
  for (const Distribution& d : {normal(0.02), truncated(50, -2, 2), uniform(-1, 1)}) {
    const std::vector<float> one = draw(d, 29, 1);
    for (const int threads : {2, 3, 8}) CHECK(draw(d, 29, threads) == one);
    ThreadPool pool(3);
    const auto both = drawTensors({{"first", {70001}, d, -1}, {"w", {kCount}, d, -1}}, 29, pool, [] { return true; });
    CHECK((*both)[1] == one);
    // A shorter tensor of the same name begins with the same values.
    const std::vector<float> shorter = draw(d, 29, 2, "w", {1001});
    CHECK(std::equal(shorter.begin(), shorter.end(), one.begin()));
  }
}

VED_TEST(draw_constants_values_and_zero_rows) {
  Distribution one;
  one.value = 1;
  CHECK(draw(one, 1, 2, "w", {7}) == std::vector<float>(7, 1.f));
  Distribution given;
  given.kind = Distribution::Kind::Values;
  given.values = {1, 2, 3, 4, 5, 6};
  CHECK(draw(given, 1, 2, "w", {3, 2}) == given.values);
  const std::vector<float> all = draw(normal(1), 2, 2, "w", {5, 3}), cut = draw(normal(1), 2, 2, "w", {5, 3}, 4);
  for (size_t i = 0; i < all.size(); ++i) CHECK_EQ(cut[i], i < 12 ? all[i] : 0.f);
  CHECK(std::all_of(all.begin(), all.end(), [](float x) { return x != 0; }));
  CHECK(draw(normal(0), 2, 2, "w", {9}) == std::vector<float>(9, 0.f));
}

VED_TEST(draw_refuses_hostile_requests) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const auto with = [](const Distribution& d, std::vector<int64_t> shape = {4, 2}, int64_t zeroRow = -1) {
    return NewTensor{"w", std::move(shape), d, zeroRow};
  };
  CHECK(!refused(with(normal(1))));
  for (const double std : {-1.0, nan, infinity}) CHECK(refused(with(normal(std))));
  CHECK(refused(with(truncated(1, 2, -2))));
  CHECK(refused(with(truncated(1, 0.5, 2))));
  CHECK(refused(with(truncated(nan, -2, 2))));
  CHECK(refused(with(truncated(1, -infinity, 2))));
  CHECK(refused(with(uniform(1, -1))));
  CHECK(refused(with(uniform(-infinity, infinity))));
  Distribution constant;
  constant.value = nan;
  CHECK(refused(with(constant)));
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{0}, {-3}, {int64_t{1} << 41}, {int64_t{1} << 30, 1 << 30}})
    CHECK(refused(with(normal(1), shape)));
  CHECK(refused(with(normal(1), {4, 2}, 4)));
  CHECK(refused(with(normal(1), {4, 2}, -2)));
  Distribution given;
  given.kind = Distribution::Kind::Values;
  given.values = {1, 2, 3};
  CHECK(refused(with(given)));
}

VED_TEST(draw_can_be_cancelled) {
  ThreadPool pool(2);
  int calls = 0;
  std::string code;
  try {
    drawTensors({{"w", {1 << 22}, normal(1), -1}}, 1, pool, [&] { return ++calls < 3; });
  } catch (const Error& error) {
    code = error.code();
  }
  CHECK_EQ(code, std::string("ABORTED"));
}

namespace {

std::string codeOf(const TensorTable& table) {
  try {
    table.validate();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

TensorTable tableInMemory() {
  TensorTable table;
  table.created = {{"w", {3, 2}, normal(1), -1}};
  TensorPlace place;
  place.name = "w";
  place.where = MemoryBuffer{0};
  place.shape = {3, 2};
  place.byteLength = 24;
  table.tensors = {place};
  return table;
}

}  // namespace

VED_TEST(tensor_table_places_in_memory) {
  TensorTable table = tableInMemory();
  CHECK_EQ(codeOf(table), std::string(""));
  CHECK_THROWS(TensorReader(table).readAll(0));  // not drawn yet
  ThreadPool pool(1);
  table.owned = drawTensors(table.created, 9, pool, [] { return true; });
  TensorReader reader(table);
  CHECK(reader.readAll(0) == table.owned->at(0));
  float two[2];
  reader.read(0, 3, 2, two);
  CHECK_EQ(two[1], table.owned->at(0)[4]);
  CHECK_THROWS(reader.read(0, 5, 2, two));
}

VED_TEST(tensor_table_refuses_hostile_places_in_memory) {
  const auto changed = [](auto change) {
    TensorTable table = tableInMemory();
    change(table);
    return codeOf(table);
  };
  for (const int32_t buffer : {-1, 1, 1 << 30})
    CHECK_EQ(changed([&](TensorTable& t) { t.tensors[0].where = MemoryBuffer{buffer}; }), "TENSOR_BUFFER_INDEX");
  CHECK_EQ(changed([](TensorTable& t) { t.tensors[0].shape = {2, 3}; }), "TENSOR_BUFFER_SHAPE");
  CHECK_EQ(changed([](TensorTable& t) { t.tensors[0].byteLength = 20; }), "TENSOR_SIZE_MISMATCH");
  CHECK_EQ(changed([](TensorTable& t) { t.created[0].shape = {2}; }), "TENSOR_BUFFER_SHAPE");
  CHECK_EQ(changed([](TensorTable& t) { t.created[0].shape = {-2}; }), "NEW_TENSOR");
  CHECK_EQ(changed([](TensorTable& t) {
             t.tensors[0].dtype = DType::F16;
             t.tensors[0].byteLength = 12;
           }),
           "TENSOR_BUFFER_DTYPE");
  CHECK_EQ(changed([](TensorTable& t) { t.owned = std::make_shared<OwnedTensors>(); }), "TENSOR_BUFFERS");
  CHECK_EQ(changed([](TensorTable& t) { t.owned = std::make_shared<OwnedTensors>(1, std::vector<float>(5)); }),
           "TENSOR_OUT_OF_BOUNDS");
}
