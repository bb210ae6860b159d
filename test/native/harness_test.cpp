// The comparators decide what every other test means, so they are tested first.
#include <limits>

#include "harness.h"

using namespace ved::test;

VED_TEST(harness_close) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  CHECK(isClose(1.0, 1.0, 0.0));
  CHECK(isClose(1.0, 1.5, 0.5));
  CHECK(!isClose(1.0, 1.5, 0.49));
  CHECK(!isClose(nan, 1.0, 1e30));
  CHECK(!isClose(1.0, nan, 1e30));
  CHECK(!isClose(nan, nan, inf));
  CHECK(!isClose(1.0, 1.5, nan));
  CHECK(isClose(inf, inf, 0.0));
  CHECK(!isClose(inf, -inf, 1e30));
  CHECK(!isClose(inf, 1.0, 1e30));
}

VED_TEST(harness_counts_failures) {
  const State before = state();
  CHECK(false);
  CHECK_EQ(1, 2);
  checkClose(std::nan(""), 0.0, 1.0, "NaN");
  CHECK_THROWS(0);
  const size_t failures = state().failures.size();
  state() = before;  // the failures above were wanted
  CHECK_EQ(failures, size_t{4});
  CHECK_THROWS(throw 1);
}

VED_TEST(harness_random_is_fixed) {
  Random a(1), b(1), c(2);
  const uint64_t first = a.next();
  CHECK_EQ(first, b.next());
  CHECK(first != c.next());
  for (int i = 0; i < 1000; ++i) {
    const float x = a.uniform(-2.0f, 3.0f);
    CHECK(x >= -2.0f && x <= 3.0f);
  }
}
