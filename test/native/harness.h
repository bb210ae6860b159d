// A small test harness: no dependency, one process, cases registered by static objects.
//   VED_TEST(name) { CHECK(x); CHECK_EQ(a, b); checkClose(got, want, tol, "what"); SKIP("why"); }
// A failed check is counted and the case goes on; an exception that leaves a case fails it.
#pragma once
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace ved::test {

struct Case {
  const char* name;
  void (*run)();
};

struct Skip {
  std::string why;
};

// State of the running case. Cases run one after another on one thread.
struct State {
  std::vector<std::string> failures;
  int64_t checks = 0;
  uint64_t seed = 0;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline State& state() {
  static State current;
  return current;
}

struct Registrar {
  Registrar(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& text) {
  std::string path(file);
  const size_t slash = path.find_last_of("/\\");
  std::ostringstream out;
  out << (slash == std::string::npos ? path : path.substr(slash + 1)) << ':' << line << ": " << text;
  state().failures.push_back(out.str());
}

inline bool check(bool ok, const char* file, int line, const std::string& text) {
  ++state().checks;
  if (!ok) fail(file, line, text);
  return ok;
}

// Written as !(diff <= tol): a NaN on either side fails. Equal infinities are close.
inline bool isClose(double got, double want, double tol) {
  if (got == want) return true;
  return !(!(std::fabs(got - want) <= tol));
}

inline bool checkCloseAt(double got, double want, double tol, const std::string& what, const char* file, int line) {
  ++state().checks;
  if (isClose(got, want, tol)) return true;
  std::ostringstream out;
  out.precision(9);
  out << what << ": got " << got << ", want " << want << ", |diff| " << std::fabs(got - want) << " > tol " << tol;
  fail(file, line, out.str());
  return false;
}

// The seed of the running case's random data; printed with every failure.
inline void useSeed(uint64_t seed) { state().seed = seed; }

// Deterministic on every platform, unlike std::uniform_real_distribution.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567ull) { useSeed(seed); }
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * (1.0 / 9007199254740992.0); }
  float uniform(float low, float high) { return static_cast<float>(low + (high - low) * uniform()); }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  void fill(float* data, size_t n, float scale = 1.0f) {
    for (size_t i = 0; i < n; ++i) data[i] = uniform(-scale, scale);
  }

 private:
  uint64_t state_;
};

template <class A, class B>
bool checkEqual(const A& a, const B& b, const char* file, int line, const char* textA, const char* textB) {
  ++state().checks;
  if (a == b) return true;
  std::ostringstream out;
  out.precision(9);
  out << textA << " == " << textB;
  if constexpr (requires {
                  out << a;
                  out << b;
                })
    out << ": got " << a << ", want " << b;
  fail(file, line, out.str());
  return false;
}

}  // namespace ved::test

#define VED_TEST(id)                                                        \
  static void vedTest_##id();                                               \
  static const ::ved::test::Registrar vedRegistrar_##id(#id, vedTest_##id); \
  static void vedTest_##id()

#define CHECK(...) ::ved::test::check(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_EQ(a, b) ::ved::test::checkEqual((a), (b), __FILE__, __LINE__, #a, #b)
#define checkClose(got, want, tol, what) ::ved::test::checkCloseAt((got), (want), (tol), (what), __FILE__, __LINE__)
#define CHECK_THROWS(expression)                                                         \
  do {                                                                                   \
    bool vedThrew = false;                                                               \
    try {                                                                                \
      static_cast<void>(expression);                                                     \
    } catch (...) {                                                                      \
      vedThrew = true;                                                                   \
    }                                                                                    \
    ::ved::test::check(vedThrew, __FILE__, __LINE__, #expression " should have thrown"); \
  } while (false)
#define SKIP(why) \
  throw ::ved::test::Skip { why }
