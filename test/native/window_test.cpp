// Index arithmetic of shifted windows, and the ops of staged encoders.
#include <cmath>
#include <set>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

struct Cell {
  int64_t row, column;
};

// The map as tensors would hold it: padded, then rolled by -shift in both axes.
Cell rolled(const WindowMap& m, int64_t window, int64_t cell) {
  const int64_t columns = windowColumns(m);
  return {window / columns * m.side + cell / m.side, window % columns * m.side + cell % m.side};
}

double windowTolerance(const WindowAttentionArgs& a, float scale) {
  const double h = static_cast<double>(a.headDim), cells = static_cast<double>(a.map.side * a.map.side);
  return 4.0 * kEps * (std::sqrt(h) * 4.0 * h * std::fabs(scale) + 40.0 + std::sqrt(cells) * 4.0);
}

struct WindowCase {
  int64_t height, width, side, shift, heads, headDim;
  Similarity similarity;
  uint64_t seed;
  ComputeType type = ComputeType::Float32;
};

// As of encoder attention: rounding moves a score by 2 roundoffs of sqrt(headDim) products, weights and values by one.
double windowTolerance16(const WindowAttentionArgs& a) {
  const double eps = a.type == ComputeType::Float16 ? kF16Eps : kBf16Eps;
  return 4.0 * eps * (std::sqrt(static_cast<double>(a.headDim)) * 4.0 + 4.0);
}

void checkWindows(Backend& backend, const WindowCase& c) {
  Random random(c.seed);
  const int64_t batch = 2, width = c.heads * c.headDim, span = 2 * c.side - 1;
  Guarded qkv(static_cast<size_t>(batch * c.height * c.width * 3 * width), random, 2.0f);
  Guarded padding(static_cast<size_t>(3 * width), random, 2.0f);
  Guarded table(static_cast<size_t>(c.heads * span * span), random, 2.0f), scale(static_cast<size_t>(c.heads), random);
  Guarded out(static_cast<size_t>(batch * c.height * c.width * width));
  std::vector<float> want(out.size());
  WindowAttentionArgs a{
      qkv.data(), padding.data(), want.data(),  batch,        {c.height, c.width, c.side, c.shift},
      c.heads,    c.headDim,      c.similarity, scale.data(), {table.data(), nullptr, c.side, c.side, 0},
      -7.0f,      c.type};
  makeReferenceBackend()->windowAttention(a);
  a.out = out.data();
  backend.windowAttention(a);
  const std::string what = backend.name() + " map " + std::to_string(c.height) + "x" + std::to_string(c.width) +
                           " side " + std::to_string(c.side) + " shift " + std::to_string(c.shift) + " " +
                           computeTypeName(c.type);
  const double tol = c.type != ComputeType::Float32 ? windowTolerance16(a) : windowTolerance(a, 1.0f);
  for (size_t i = 0; i < want.size(); ++i)
    if (!checkClose(out[i], want[i], tol, what)) return;
  CHECK(out.intact());
}

}  // namespace

VED_TEST(window_tokens_cover_the_map_once) {
  for (int64_t height = 1; height <= 9; ++height)
    for (int64_t width = 1; width <= 9; ++width)
      for (int64_t side = 1; side <= 5; ++side)
        for (int64_t shift = 0; shift < side; ++shift) {
          const WindowMap map{height, width, side, shift};
          std::set<int64_t> seen;
          int64_t padding = 0;
          for (int64_t w = 0; w < windowCount(map); ++w)
            for (int64_t cell = 0; cell < side * side; ++cell) {
              const int64_t token = windowToken(map, w, cell);
              if (token < 0)
                ++padding;
              else
                CHECK(token < height * width && seen.insert(token).second);
            }
          CHECK_EQ(static_cast<int64_t>(seen.size()), height * width);
          CHECK_EQ(padding, windowCount(map) * side * side - height * width);
        }
}

// Two cells of a window are in one region exactly when they were not torn apart by rolling: their distance in the
// window is their distance in the padded map.
VED_TEST(window_regions_are_neighbourhoods) {
  for (int64_t side = 2; side <= 5; ++side)
    for (int64_t shift = 1; shift < side; ++shift) {
      const WindowMap map{3 * side - 1, 2 * side, side, shift};
      const int64_t height = windowRows(map) * side, width = windowColumns(map) * side;
      for (int64_t w = 0; w < windowCount(map); ++w)
        for (int64_t q = 0; q < side * side; ++q)
          for (int64_t k = 0; k < side * side; ++k) {
            const Cell a = rolled(map, w, q), b = rolled(map, w, k);
            const bool wholeRows = (a.row + shift) / height == (b.row + shift) / height;
            const bool wholeColumns = (a.column + shift) / width == (b.column + shift) / width;
            CHECK_EQ(windowRegion(map, w, q) == windowRegion(map, w, k), wholeRows && wholeColumns);
          }
    }
  CHECK_EQ(windowRegion({8, 8, 4, 0}, 3, 15), 0);
}

VED_TEST(relative_index_is_the_distance_key_minus_query) {
  const int64_t rows = 3, columns = 4;
  for (int64_t q = 0; q < rows * columns; ++q)
    for (int64_t k = 0; k < rows * columns; ++k) {
      const int64_t index = relativeIndex(rows, columns, q, k);
      CHECK_EQ(index / (2 * columns - 1) - (rows - 1), k / columns - q / columns);
      CHECK_EQ(index % (2 * columns - 1) - (columns - 1), k % columns - q % columns);
    }
}

// One head of width 1, a window of 2 x 2 over a map of 1 x 3: by hand.
VED_TEST(window_attention_by_hand) {
  const std::vector<float> qkv = {0, 0, 1, 0, 0, 2, 0, 0, 4}, padding = {0, 0, 8};
  const std::vector<float> table(9, 0.0f), one = {1};
  std::vector<float> out(3);
  WindowAttentionArgs a{qkv.data(),
                        padding.data(),
                        out.data(),
                        1,
                        {1, 3, 2, 0},
                        1,
                        1,
                        Similarity::Dot,
                        one.data(),
                        {table.data(), nullptr, 2, 2, 0},
                        -100};
  makeReferenceBackend()->windowAttention(a);
  // Windows {0, 1, pad, pad} and {2, pad, pad, pad}: equal scores, so means of the values.
  CHECK(out == std::vector<float>({(1 + 2 + 8 + 8) / 4.0f, (1 + 2 + 8 + 8) / 4.0f, (4 + 8 + 8 + 8) / 4.0f}));
  a.map.shift = 1;  // rolled: rows (pad), (0); columns 1 2 | pad 0
  makeReferenceBackend()->windowAttention(a);
  CHECK(out == std::vector<float>({1, 3, 3}));
}

VED_TEST(window_attention_equals_reference) {
  for (const auto& [target, type] : targetsAndTypes()) {
    const auto backend = target.make(2);
    uint64_t seed = 1;
    for (int64_t side = 1; side <= 8; ++side)
      for (const int64_t shift : {int64_t{0}, side / 2})
        for (const Similarity similarity : {Similarity::Dot, Similarity::Cosine}) {
          checkWindows(*backend, {side + 3, 2 * side + 1, side, shift, 2, side + 3, similarity, ++seed, type});
          checkWindows(*backend, {2 * side, side, side, shift, 1, 33 - side, similarity, ++seed, type});
        }
    checkWindows(*backend, {14, 9, 7, 3, 3, 32, Similarity::Dot, 101, type});
    checkWindows(*backend, {12, 25, 12, 6, 2, 32, Similarity::Cosine, 102, type});
    checkWindows(*backend, {12, 13, 12, 0, 1, 72, Similarity::Cosine, 103, type});
  }
}

VED_TEST(window_attention_bits_do_not_depend_on_batch_or_threads) {
  for (const CpuIsa isa : availableIsas()) {
    Random random(3);
    const int64_t image = 9 * 10 * 2 * 16;
    std::vector<float> qkv(2 * 3 * image), padding(3 * 32), table(2 * 49), got(2 * image), want;
    for (auto* v : {&qkv, &padding, &table}) random.fill(v->data(), v->size());
    const std::vector<float> scale = {0.3f, 0.2f};
    for (const int threads : {1, 3}) {
      const auto backend = makeCpuBackend(isa, threads);
      WindowAttentionArgs a{qkv.data(),
                            padding.data(),
                            got.data(),
                            2,
                            {9, 10, 4, 2},
                            2,
                            16,
                            Similarity::Dot,
                            scale.data(),
                            {table.data(), nullptr, 4, 4, 0},
                            -100};
      backend->windowAttention(a);
      if (threads == 1) want = got;
      CHECK(sameBits(got.data(), want.data(), got.size()));
      a.batch = 1, a.qkv += 3 * image;
      backend->windowAttention(a);
      CHECK(sameBits(got.data(), want.data() + image, static_cast<size_t>(image)));
    }
  }
}

VED_TEST(encoder_attention_with_bias_equals_reference) {
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 2);
    for (int64_t rows = 1; rows <= 7; ++rows)
      for (int64_t prefix = 0; prefix <= 1; ++prefix) {
        Random random(static_cast<uint64_t>(10 * rows + prefix));
        const int64_t columns = 9 - rows, heads = 2, headDim = 5 + rows, batch = 2, tokens = prefix + rows * columns;
        const int64_t width = heads * headDim;
        Guarded qkv(static_cast<size_t>(batch * tokens * 3 * width), random, 2.0f);
        Guarded table(static_cast<size_t>(heads * (2 * rows - 1) * (2 * columns - 1)), random, 2.0f);
        Guarded classes(static_cast<size_t>(heads * 3), random, 2.0f);
        Guarded out(static_cast<size_t>(batch * tokens * width));
        std::vector<float> want(out.size());
        const RelativeBias bias{table.data(), prefix ? classes.data() : nullptr, rows, columns, prefix};
        EncoderAttentionArgs a{qkv.data(), want.data(), batch, tokens, heads, headDim, 0.4f, &bias};
        makeReferenceBackend()->encoderAttention(a);
        a.out = out.data();
        backend->encoderAttention(a);
        for (size_t i = 0; i < want.size(); ++i) CHECK(checkClose(out[i], want[i], 2e-5, backend->name() + " bias"));
        CHECK(out.intact());
      }
  }
}

VED_TEST(merge_scale_and_gate_equal_reference) {
  const auto reference = makeReferenceBackend();
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 2);
    for (int64_t width = 1; width <= 40; ++width) {
      Random random(static_cast<uint64_t>(width));
      const int64_t batch = 2, rows = 1 + width % 5, columns = 1 + width % 4;
      Guarded in(static_cast<size_t>(batch * rows * columns * width), random);
      const size_t n = static_cast<size_t>(batch * ((rows + 1) / 2) * ((columns + 1) / 2) * 4 * width);
      Guarded got(n), want(n);
      backend->mergeCells({in.data(), got.data(), batch, rows, columns, width});
      reference->mergeCells({in.data(), want.data(), batch, rows, columns, width});
      CHECK(sameBits(got.data(), want.data(), n));
      CHECK(got.intact());

      Guarded factors(static_cast<size_t>(width), random), scaled(static_cast<size_t>(5 * width), random);
      std::vector<float> wantScaled(scaled.data(), scaled.data() + scaled.size());
      backend->scaleColumns({scaled.data(), 5, width, factors.data()});
      reference->scaleColumns({wantScaled.data(), 5, width, factors.data()});
      CHECK(sameBits(scaled.data(), wantScaled.data(), wantScaled.size()));

      Guarded both(static_cast<size_t>(5 * 2 * width), random, 4.0f), gated(static_cast<size_t>(5 * width));
      std::vector<float> wantGated(gated.size());
      backend->gate({both.data(), gated.data(), 5, width, Activation::Silu});
      reference->gate({both.data(), wantGated.data(), 5, width, Activation::Silu});
      for (size_t i = 0; i < wantGated.size(); ++i) CHECK(checkClose(gated[i], wantGated[i], 32 * 4.0 * kEps, "gate"));
      CHECK(gated.intact());
    }
  }
}

// Hand-computed: a map of 3 x 2 cells of one channel.
VED_TEST(merge_cells_by_hand) {
  const std::vector<float> in = {1, 2, 3, 4, 5, 6};
  std::vector<float> out(8);
  makeReferenceBackend()->mergeCells({in.data(), out.data(), 1, 3, 2, 1});
  CHECK(out == std::vector<float>({1, 3, 2, 4, 5, 0, 6, 0}));
}

VED_TEST(rotate_equals_reference) {
  for (const CpuIsa isa : availableIsas()) {
    const auto backend = makeCpuBackend(isa, 2);
    for (int64_t headDim = 4; headDim <= 72; headDim += 4)
      for (int64_t prefix = 0; prefix <= 2; ++prefix) {
        Random random(static_cast<uint64_t>(headDim + prefix));
        const int64_t batch = 2, heads = 3, cells = 5, tokens = prefix + cells;
        Guarded qkv(static_cast<size_t>(batch * tokens * 3 * heads * headDim), random);
        Guarded cosines(static_cast<size_t>(cells * headDim / 2), random), sines(cosines.size(), random);
        std::vector<float> want(qkv.data(), qkv.data() + qkv.size());
        const std::vector<float> before = want;
        backend->rotate({qkv.data(), cosines.data(), sines.data(), batch, tokens, cells, heads, headDim});
        makeReferenceBackend()->rotate(
            {want.data(), cosines.data(), sines.data(), batch, tokens, cells, heads, headDim});
        for (size_t i = 0; i < want.size(); ++i) {
          CHECK(checkClose(qkv[i], want[i], 4 * kEps, backend->name() + " rotate"));
          const int64_t row = static_cast<int64_t>(i) / (3 * heads * headDim),
                        column = static_cast<int64_t>(i) % (3 * heads * headDim);
          if (row % tokens < prefix || column >= 2 * heads * headDim) CHECK_EQ(qkv[i], before[i]);
        }
        CHECK(qkv.intact());
      }
  }
}

// A quarter turn of the one head of the last token: (x, y) becomes (-y, x).
VED_TEST(rotate_by_hand) {
  std::vector<float> qkv = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<float> cosine = {0}, sine = {1};
  makeReferenceBackend()->rotate({qkv.data(), cosine.data(), sine.data(), 1, 2, 1, 1, 2});
  CHECK(qkv == std::vector<float>({1, 2, 3, 4, 5, 6, -8, 7, -10, 9, 11, 12}));
}
