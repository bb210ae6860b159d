#include <cmath>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

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
      Guarded pixels(static_cast<size_t>(a.batch * a.channels * a.height * a.width), random);
      const size_t n = static_cast<size_t>(a.batch * gridH * gridW * 3 * a.patchH * a.patchW);
      Guarded got(n), want(n);
      a.pixels = pixels.data(), a.patches = got.data();
      backend->patches(a);
      a.patches = want.data();
      makeReferenceBackend()->patches(a);
      CHECK(sameBits(got.data(), want.data(), n));
      CHECK(got.intact() && want.intact());
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

// A tied table is read out of the head's matrix: the same values, in bfloat16 rounded.
VED_TEST(embed_tokens_from_the_head) {
  for (const CpuIsa isa : availableIsas())
    for (const ComputeType type : {ComputeType::Float32, ComputeType::BFloat16})
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
