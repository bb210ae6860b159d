#include "core/draw.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/error.h"
#include "core/philox.h"
#include "core/thread_pool.h"

namespace ved {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr int64_t kChunk = 1 << 16;  // elements per task, a multiple of a group
constexpr int64_t kGroup = 4;        // elements per Philox block

[[noreturn]] void fail(const NewTensor& tensor, const std::string& what) {
  throw Error(ErrorKind::Weights, "NEW_TENSOR", "new tensor " + tensor.name + ": " + what);
}

int64_t elementsOf(const NewTensor& tensor) {
  int64_t count = 1;
  for (int64_t dim : tensor.shape) {
    if (dim < 1 || dim > kMaxElements || count > kMaxElements / dim) fail(tensor, "its shape is out of range");
    count *= dim;
  }
  return count;
}

void validate(const NewTensor& t) {
  const int64_t count = elementsOf(t);
  const Distribution& d = t.distribution;
  using Kind = Distribution::Kind;
  const bool spread = d.kind == Kind::Normal || d.kind == Kind::TruncatedNormal;
  if (d.kind == Kind::Constant && !std::isfinite(d.value)) fail(t, "expected a finite constant");
  if (spread && !(d.std >= 0 && std::isfinite(d.std))) fail(t, "expected a finite standard deviation of at least 0");
  if (d.kind == Kind::TruncatedNormal && !(d.low < 0 && d.high > 0 && std::isfinite(d.low) && std::isfinite(d.high)))
    fail(t, "expected finite bounds around 0");
  if (d.kind == Kind::Uniform && !(d.low <= d.high && std::isfinite(d.low) && std::isfinite(d.high)))
    fail(t, "expected finite bounds, low first");
  if (d.kind == Kind::Values && static_cast<int64_t>(d.values.size()) != count)
    fail(t, "expected " + std::to_string(count) + " values, got " + std::to_string(d.values.size()));
  if (t.zeroRow < -1 || (t.zeroRow >= 0 && (t.shape.empty() || t.zeroRow >= t.shape[0])))
    fail(t, "its zero row lies outside");
}

// FNV-1a: which of the generator's sequences a tensor draws from.
uint64_t hashOf(const std::string& name) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

// In (0, 1): never 0, whose logarithm would be infinite.
double unit(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

// ln((bits + 0.5) / 2^32) to float precision: exponent and mantissa apart, ln m = 2 artanh((m - 1) / (m + 1)) as a
// series.
float logUnit(uint32_t bits) {
  const uint32_t raw = std::bit_cast<uint32_t>(static_cast<float>(bits) + 0.5f);
  // Mantissas from 1/sqrt(2) to sqrt(2), so that the result does not cancel near bits = 2^32.
  const int32_t exponent = static_cast<int32_t>((raw + 0x004afb0du) >> 23) - 127;
  const float m = std::bit_cast<float>(raw - (static_cast<uint32_t>(exponent) << 23));
  const float t = (m - 1.f) / (m + 1.f), q = t * t;
  const float series = 1.f + q * (1.f / 3 + q * (1.f / 5 + q * (1.f / 7 + q * (1.f / 9))));
  return 2.f * t * series + static_cast<float>(exponent - 32) * std::numbers::ln2_v<float>;
}

// Cosine and sine of a uniform angle: a quarter turn from the upper two bits, what lies around it from the rest.
void unitVector(uint32_t bits, float* out) {
  const float part = static_cast<float>(bits & 0x3fffffffu) * 0x1p-30f - 0.5f;
  const float a = part * (std::numbers::pi_v<float> / 2), q = a * a;
  const float c = 1.f - q * (1.f / 2 - q * (1.f / 24 - q * (1.f / 720 - q * (1.f / 40320))));
  const float s = a * (1.f - q * (1.f / 6 - q * (1.f / 120 - q * (1.f / 5040 - q * (1.f / 362880)))));
  const uint32_t quarter = bits >> 30;
  const bool turned = quarter & 1u;
  const float x = turned ? s : c, y = turned ? c : s;
  out[0] = quarter == 1u || quarter == 2u ? -x : x;
  out[1] = quarter >= 2u ? -y : y;
}

// Box and Muller 1958: two independent normal numbers from two uniform ones. Without the system's mathematical
// functions, which are several times slower and round differently from one system to the next.
void normalPair(uint32_t a, uint32_t b, float* out) {
  const float radius = std::sqrt(-2.f * logUnit(a));
  unitVector(b, out);
  out[0] *= radius;
  out[1] *= radius;
}

class Source {
 public:
  Source(const Distribution& distribution, uint64_t seed, uint64_t sequence)
      : d_(distribution), random_(seed, sequence) {}

  // Elements [4 g, 4 g + 4) of the tensor.
  void group(int64_t g, float* out) const {
    using Kind = Distribution::Kind;
    if (d_.kind == Kind::Uniform) {
      const Philox::Block bits = block(g, 0);
      for (int lane = 0; lane < kGroup; ++lane)
        out[lane] = static_cast<float>(d_.low + (d_.high - d_.low) * unit(bits[static_cast<size_t>(lane)]));
      return;
    }
    float normals[kGroup];
    fillNormals(g, 0, normals);
    for (int lane = 0; lane < kGroup; ++lane) {
      const double value = d_.std * normals[lane];
      const bool inside = d_.kind == Kind::Normal || (value >= d_.low && value <= d_.high);
      out[lane] = static_cast<float>(inside ? value : again(g, lane));
    }
  }

 private:
  // Each further try of a group has blocks of its own; groups stay below 2^38, so tries and groups cannot meet.
  Philox::Block block(int64_t g, uint32_t attempt) const {
    return random_.block(static_cast<uint32_t>(g >> 32) | attempt << 8, static_cast<uint32_t>(g));
  }

  void fillNormals(int64_t g, uint32_t attempt, float* out) const {
    const Philox::Block bits = block(g, attempt);
    normalPair(bits[0], bits[1], out);
    normalPair(bits[2], bits[3], out + 2);
  }

  // Rejection: from the normal distribution itself while it falls inside often, else from a uniform one below the bell.
  // A try succeeds with probability above 0.3, so that the last line is reached once in 10^39 elements.
  double again(int64_t g, int lane) const {
    const bool wide = std::min(-d_.low, d_.high) >= d_.std;
    for (uint32_t attempt = 1; attempt <= 256; ++attempt) {
      if (wide) {
        float normals[kGroup];
        fillNormals(g, attempt, normals);
        const double value = d_.std * normals[lane];
        if (value >= d_.low && value <= d_.high) return value;
      } else {
        const Philox::Block place = block(g, 2 * attempt), height = block(g, 2 * attempt + 1);
        const double value = d_.low + (d_.high - d_.low) * unit(place[static_cast<size_t>(lane)]);
        const double ratio = value / d_.std;
        if (unit(height[static_cast<size_t>(lane)]) < std::exp(-0.5 * ratio * ratio)) return value;
      }
    }
    return 0;
  }

  const Distribution& d_;
  Philox random_;
};

void fillChunk(const Source& source, int64_t first, int64_t count, float* out) {
  for (int64_t at = 0; at < count; at += kGroup) {
    float group[kGroup];
    source.group((first + at) / kGroup, group);
    std::copy_n(group, std::min(kGroup, count - at), out + at);
  }
}

bool isDrawn(const Distribution& d) {
  return d.kind != Distribution::Kind::Constant && d.kind != Distribution::Kind::Values;
}

std::vector<float> allocate(const NewTensor& tensor) {
  const Distribution& d = tensor.distribution;
  if (d.kind == Distribution::Kind::Values) return d.values;
  const float value = d.kind == Distribution::Kind::Constant ? static_cast<float>(d.value) : 0.f;
  return std::vector<float>(static_cast<size_t>(elementsOf(tensor)), value);
}

void clearZeroRow(const NewTensor& tensor, std::vector<float>& values) {
  if (tensor.zeroRow < 0) return;
  const int64_t width = static_cast<int64_t>(values.size()) / tensor.shape[0];
  std::fill_n(values.begin() + tensor.zeroRow * width, width, 0.f);
}

}  // namespace

void validateNewTensors(const std::vector<NewTensor>& tensors) {
  for (const NewTensor& tensor : tensors) validate(tensor);
}

std::shared_ptr<const OwnedTensors> drawTensors(const std::vector<NewTensor>& tensors, uint64_t seed, ThreadPool& pool,
                                                const std::function<bool()>& keepGoing) {
  validateNewTensors(tensors);
  const auto checkpoint = [&] {
    if (!keepGoing()) throw Error(ErrorKind::Internal, "ABORTED", "loading was cancelled");
  };
  auto owned = std::make_shared<OwnedTensors>();
  std::vector<Source> sources;
  std::vector<std::pair<size_t, int64_t>> tasks;  // tensor, first element: one loop over all, as each loop is a barrier
  for (const NewTensor& tensor : tensors) {
    checkpoint();
    owned->push_back(allocate(tensor));
    sources.emplace_back(tensor.distribution, seed, hashOf(tensor.name));
    const int64_t count = isDrawn(tensor.distribution) ? static_cast<int64_t>(owned->back().size()) : 0;
    for (int64_t first = 0; first < count; first += kChunk) tasks.emplace_back(owned->size() - 1, first);
  }
  pool.parallelFor(static_cast<int64_t>(tasks.size()), [&](int64_t task, int worker) {
    if (worker == 0) checkpoint();
    const auto [tensor, first] = tasks[static_cast<size_t>(task)];
    std::vector<float>& values = (*owned)[tensor];
    fillChunk(sources[tensor], first, std::min(kChunk, static_cast<int64_t>(values.size()) - first),
              values.data() + first);
  });
  checkpoint();
  for (size_t i = 0; i < tensors.size(); ++i) clearZeroRow(tensors[i], (*owned)[i]);
  return owned;
}

}  // namespace ved
