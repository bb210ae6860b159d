#include <cmath>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

// Random pixels give the bits of the reference.
void checkPatches(Backend& backend, PatchesArgs a, Random& random) {
  Guarded pixels(static_cast<size_t>(a.batch * a.channels * a.height * a.width), random);
  const size_t n = static_cast<size_t>(a.batch * a.gridH * a.gridW * 3 * a.patchH * a.patchW);
  Guarded got(n), want(n);
  a.pixels = pixels.data(), a.patches = got.data();
  backend.patches(a);
  a.patches = want.data();
  makeReferenceBackend()->patches(a);
  CHECK(sameBits(got.data(), want.data(), n));
  CHECK(got.intact() && want.intact());
}

VED_TEST(patches_equal_reference) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t patch = 1; patch <= 9; ++patch) {
      Random random(static_cast<uint64_t>(patch));
      const int64_t height = 4 * patch + patch / 2, width = 5 * patch + patch / 3;
      // Rounded down on the odd, up on the even ones.
      const int64_t gridH = (height + (patch % 2 ? 0 : patch - 1)) / patch;
      const int64_t gridW = (width + (patch % 2 ? 0 : patch)) / (patch + 1);
      PatchesArgs a{nullptr, nullptr, 2, 3, height, width, patch, patch + 1, gridH, gridW};
      checkPatches(*backend, a, random);
    }
  }
}

// Hand-computed: two images of 2 x 4 pixels, one channel, patches of 2 x 2.
VED_TEST(patches_reference_by_hand) {
  std::vector<float> pixels(16), out(16);
  for (size_t i = 0; i < 16; ++i) pixels[i] = static_cast<float>(i);
  makeReferenceBackend()->patches({pixels.data(), out.data(), 2, 1, 2, 4, 2, 2, 1, 2});
  const std::vector<float> want = {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
  CHECK(out == want);
}

// Overlapping patches over the edges of the image, their cells unrolled.
VED_TEST(patches_overlapping_equal_reference) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t patch = 1; patch <= 7; ++patch)
      for (const CellOrder order : {CellOrder{}, CellOrder{1, 2, 3}, CellOrder{2, 2, 1}}) {
        Random random(static_cast<uint64_t>(patch));
        PatchesArgs a{nullptr, nullptr, 2, 3, 9, 13, patch, patch + 1, 8, 6};
        a.strideH = 1, a.strideW = 2, a.padH = patch / 2, a.padW = patch / 3, a.order = order;
        checkPatches(*backend, a, random);
      }
  }
}

// Hand-computed: an image of 2 x 2 pixels in a frame of zeros, patches of 3 x 3 one pixel apart.
VED_TEST(patches_overlapping_by_hand) {
  const std::vector<float> pixels = {1, 2, 3, 4};
  std::vector<float> out(36);
  PatchesArgs a{pixels.data(), out.data(), 1, 1, 2, 2, 3, 3, 2, 2};
  a.strideH = a.strideW = a.padH = a.padW = 1;
  makeReferenceBackend()->patches(a);
  const std::vector<float> want = {0, 0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0, 1, 2, 0, 3, 4, 0,
                                   0, 1, 2, 0, 3, 4, 0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0, 0};
  CHECK(out == want);
}

// 4 x 4 cells in two levels of 2 x 2: blocks of one cell each remain, the places inside come first; one level of 2 x 1
// in 4 x 3 cells: even rows, then odd ones.
VED_TEST(cell_order_by_hand) {
  const int64_t twice[] = {0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15};
  const int64_t rows[] = {0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11};
  for (int64_t t = 0; t < 16; ++t) {
    CHECK_EQ(cellOfToken({1, 2, 2}, 4, 4, t), twice[t]);
    CHECK_EQ(cellOfToken({2, 2, 2}, 4, 4, t), twice[t]);
    CHECK_EQ(cellOfToken({0, 2, 2}, 4, 4, t), t);
  }
  for (int64_t t = 0; t < 12; ++t) CHECK_EQ(cellOfToken({1, 2, 1}, 4, 3, t), rows[t]);
  std::vector<int> seen(8 * 18);
  for (int64_t t = 0; t < 8 * 18; ++t) ++seen[static_cast<size_t>(cellOfToken({2, 2, 3}, 8, 18, t))];
  for (const int count : seen) CHECK_EQ(count, 1);
}

VED_TEST(pool_tokens_equal_reference) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t width = 1; width <= 70; ++width)
      for (const int64_t groups : {1, 2, 4}) {
        Random random(static_cast<uint64_t>(width));
        const int64_t batch = 3, tokens = 3 * groups;
        Guarded x(static_cast<size_t>(batch * tokens * width), random);
        x[x.size() - 1] = std::nanf("");
        Guarded got(static_cast<size_t>(batch * 3 * width)), want(got.size());
        backend->poolTokens({x.data(), got.data(), batch, tokens, groups, width});
        makeReferenceBackend()->poolTokens({x.data(), want.data(), batch, tokens, groups, width});
        for (size_t i = 0; i + 1 < got.size(); ++i) CHECK_EQ(got[i], want[i]);
        CHECK(std::isnan(got[got.size() - 1]) && std::isnan(want[want.size() - 1]));
        CHECK(got.intact() && want.intact());
      }
    const float x[] = {1, -2, 3, -4, 5, -6, 7, -8};
    float y[4];
    backend->poolTokens({x, y, 1, 4, 2, 2});  // tokens 0 and 2, tokens 1 and 3
    const float want[] = {5, -2, 7, -4};
    for (int i = 0; i < 4; ++i) CHECK_EQ(y[i], want[i]);
  }
}

VED_TEST(assemble_and_embed_equal_reference) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t width = 1; width <= 70; ++width)
      for (int64_t prefix = 0; prefix <= 2; ++prefix) {
        Random random(static_cast<uint64_t>(width * 3 + prefix));
        const int64_t batch = 2, patchTokens = 5, suffix = width % 3, tokens = prefix + patchTokens + suffix;
        Guarded patches(static_cast<size_t>(batch * patchTokens * width), random);
        Guarded tokensIn(static_cast<size_t>(prefix * width), random),
            positions(static_cast<size_t>(tokens * width), random), behind(static_cast<size_t>(suffix * width), random);
        const size_t n = static_cast<size_t>(batch * tokens * width);
        Guarded got(n), want(n);
        AssembleTokensArgs a{patches.data(),
                             prefix ? tokensIn.data() : nullptr,
                             positions.data(),
                             got.data(),
                             batch,
                             prefix,
                             patchTokens,
                             width,
                             suffix ? behind.data() : nullptr,
                             suffix};
        backend->assembleTokens(a);
        a.out = want.data();
        makeReferenceBackend()->assembleTokens(a);
        CHECK(sameBits(got.data(), want.data(), n));
        backend->addPositions({got.data(), positions.data(), batch, tokens, width});
        makeReferenceBackend()->addPositions({want.data(), positions.data(), batch, tokens, width});
        CHECK(sameBits(got.data(), want.data(), n));
        const int32_t ids[] = {4, 0, 3}, positionIds[] = {2, 4, 0};
        Guarded e(static_cast<size_t>(3 * width)), wantE(static_cast<size_t>(3 * width));
        EmbedTokensArgs b{patches.data(), positions.data(), e.data(), ids, positionIds, 3, width, 1.7f};
        backend->embedTokens(b);
        b.out = wantE.data();
        makeReferenceBackend()->embedTokens(b);
        // The product may round once more than in the reference: |1.7 x| + |position| <= 2.7.
        for (size_t i = 0; i < e.size(); ++i) checkClose(e[i], wantE[i], 2 * 2.7 * kEps, "embed");
        b.out = e.data();
        b.positionIds = nullptr;  // row 0 for every token
        backend->embedTokens(b);
        for (size_t i = 0; i < e.size(); ++i) {
          const size_t d = i % static_cast<size_t>(width),
                       row = static_cast<size_t>(ids[i / static_cast<size_t>(width)]);
          const double sum = 1.7f * patches[row * static_cast<size_t>(width) + d] + positions[d];
          CHECK(checkClose(e[i], sum, 2 * 2.7 * kEps, "one position"));
        }
        b.positions = nullptr;
        backend->embedTokens(b);
        for (size_t i = 0; i < e.size(); ++i) {
          const size_t row = static_cast<size_t>(ids[i / static_cast<size_t>(width)] * width);
          checkClose(e[i], 1.7f * patches[row + i % static_cast<size_t>(width)], 2 * 1.7 * kEps, "tokens alone");
        }
        CHECK(got.intact() && e.intact());
      }
  }
}

// Hand-computed: two images of a prefix token, two patches and a suffix token, one channel.
VED_TEST(assemble_reference_by_hand) {
  const float patches[] = {1, 2, 3, 4}, prefix[] = {10}, suffix[] = {20}, positions[] = {0.5f, 1, 2, 4};
  float out[8];
  const auto backend = makeReferenceBackend();
  backend->assembleTokens({patches, prefix, positions, out, 2, 1, 2, 1, suffix, 1});
  const float want[] = {10.5f, 2, 4, 24, 10.5f, 4, 6, 24};
  for (int i = 0; i < 8; ++i) CHECK_EQ(out[i], want[i]);
  backend->addPositions({out, positions, 2, 4, 1});
  for (int i = 0; i < 8; ++i) CHECK_EQ(out[i], want[i] + positions[i % 4]);
}

// A tied table is read out of the head's matrix: the same values, rounded as the head's type says.
VED_TEST(embed_tokens_from_the_head) {
  for (const CpuIsa isa : availableIsas())
    for (const ComputeType type :
         {ComputeType::Float32, ComputeType::BFloat16, ComputeType::Int8, ComputeType::Int8Fine})
      for (const int64_t width : {1, 2, 7, 64, 65}) {
        Random random(static_cast<uint64_t>(width));
        const int64_t vocab = 71;
        std::vector<float> table(static_cast<size_t>(vocab * width)), got(static_cast<size_t>(3 * width));
        random.fill(table.data(), table.size());
        const auto backend = makeCpuBackend(isa, 1);
        CHECK(backend->readsRows());
        const auto head = backend->makeLinear(width, vocab, false, type);
        head->setBlock(0, vocab, 0, width, table.data(), width, 1);
        head->seal();
        const int32_t ids[] = {70, 0, 33};
        backend->embedTokens({nullptr, nullptr, got.data(), ids, nullptr, 3, width, 1.0f, head.get()});
        for (int64_t i = 0; i < 3 * width; ++i) {
          const float want = table[static_cast<size_t>(ids[i / width] * width + i % width)];
          const float* row = table.data() + ids[i / width] * width;
          float top = 0;
          for (int64_t k = 0; k < width; ++k) top = std::max(top, std::fabs(row[k]));
          if (hasInt8Weights(type))
            CHECK(checkClose(got[i], want, top / 254 + 2 * kEps * top, "a row of integers"));
          else
            CHECK_EQ(got[i], type == ComputeType::Float32 ? want : bfloat16ToFloat(bfloat16Bits(want)));
        }
      }
}

VED_TEST(backends_name_themselves) {
  CHECK_EQ(makeReferenceBackend()->name(), std::string("reference"));
  CHECK(cpuIsaAvailable(CpuIsa::Scalar) && cpuIsaAvailable(CpuIsa::Auto));
  CHECK_EQ(makeCpuBackend(CpuIsa::Auto, 1)->name(), std::string("cpu:") + cpuIsaName(bestCpuIsa()));
  for (const CpuIsa isa : {CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Neon})
    if (!cpuIsaAvailable(isa)) CHECK_THROWS(makeCpuBackend(isa, 1));
}

VED_TEST(turn_pairs_equals_reference) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (int64_t headDim = 2; headDim <= 72; headDim += 2)
      for (int64_t parts = 2; parts <= 3; ++parts) {
        Random random(static_cast<uint64_t>(headDim + parts));
        const int64_t tokens = 4, heads = 3, rows = 7, width = 3 * heads * headDim;
        Guarded qkv(static_cast<size_t>(tokens * width), random);
        Guarded cosines(static_cast<size_t>(rows * headDim / 2), random), sines(cosines.size(), random);
        const int32_t ids[] = {6, 0, 3, 3};
        std::vector<float> want(qkv.data(), qkv.data() + qkv.size());
        const std::vector<float> before = want;
        TurnPairsArgs a{qkv.data(), cosines.data(), sines.data(), ids, tokens, heads, headDim, rows, parts};
        backend->turnPairs(a);
        a.qkv = want.data();
        makeReferenceBackend()->turnPairs(a);
        for (size_t i = 0; i < want.size(); ++i) {
          CHECK(checkClose(qkv[i], want[i], 4 * kEps, backend->name() + " turn_pairs"));
          if (static_cast<int64_t>(i) % width >= parts * heads * headDim) CHECK_EQ(qkv[i], before[i]);
        }
        CHECK(qkv.intact());
      }
  }
}

// One head of width 2 and a quarter turn for position 1: query and key of the second token turn, (x, y) to (-y, x).
VED_TEST(turn_pairs_by_hand) {
  std::vector<float> qkv = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<float> cosines = {1, 0}, sines = {0, 1};
  const int32_t ids[] = {0, 1};
  makeReferenceBackend()->turnPairs({qkv.data(), cosines.data(), sines.data(), ids, 2, 1, 2, 2, 2});
  CHECK(qkv == std::vector<float>({1, 2, 3, 4, 5, 6, -8, 7, -10, 9, 11, 12}));
  // pairs are neighbours: of four channels (x, y, z, w) the first two turn by one angle, the last two by another
  qkv = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
  const std::vector<float> cosine = {0, -1}, sine = {1, 0};
  makeReferenceBackend()->turnPairs({qkv.data(), cosine.data(), sine.data(), ids, 1, 1, 4, 1, 3});
  CHECK(qkv == std::vector<float>({-2, 1, -3, -4, -2, 1, -3, -4, -2, 1, -3, -4}));
}
