// Tokens chosen where the logits lie: the reference against the host's searches, every backend against the reference.
#include "ops/select.h"

#include <algorithm>

#include "decode/rules.h"
#include "engine/selection.h"
#include "search_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

// Two searches that get the same logits, one by one on the host, one by the backend's choices.
void compareSearches(Backend& backend, Random& random, int64_t vocab, Kind kind, const std::string& what) {
  decode::Options options = makeOptions(random, vocab);
  const std::vector<int32_t> prompt(1 + static_cast<size_t>(random.below(3)),
                                    static_cast<int32_t>(random.below(vocab)));
  options.promptLength = static_cast<int32_t>(prompt.size());
  const auto host = decode::makeSearch(options, prompt), selected = decode::makeSearch(options, prompt);
  engine::Selection selection;
  while (host->liveRows() > 0) {
    const int32_t rows = host->liveRows();
    if (!CHECK_EQ(selected->liveRows(), rows)) return fail(__FILE__, __LINE__, what);
    std::vector<float> logits;
    std::vector<RowSummary> summaries(static_cast<size_t>(rows));
    for (int32_t r = 0; r < rows; ++r) {
      const std::vector<float> row = makeLogits(random, vocab, random.below(2) ? kind : Kind::Spread);
      logits.insert(logits.end(), row.begin(), row.end());
    }
    backend.summarize(logits.data(), vocab, rows, vocab, summaries.data());
    selection.clear();
    CHECK(selection.add(*selected));
    selection.run(backend, logits.data(), vocab);
    const decode::Step got = selected->advance(selection.choices(0));
    const decode::Step want = host->advance(logits.data(), vocab, static_cast<int32_t>(vocab), summaries.data());
    const bool equal = CHECK_EQ(got.tokens, want.tokens) & CHECK_EQ(got.parents, want.parents) &
                       CHECK_EQ(got.done, want.done) & CHECK_EQ(got.emitted, want.emitted);
    if (!equal) return fail(__FILE__, __LINE__, what);
  }
  const auto got = selected->take(), want = host->take();
  CHECK_EQ(got.size(), want.size());
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    if (!CHECK_EQ(got[i].ids, want[i].ids)) fail(__FILE__, __LINE__, what);
    CHECK_EQ(got[i].beamIndices, want[i].beamIndices);
    CHECK(got[i].finish == want[i].finish);
    checkClose(got[i].score, want[i].score, 1e-5 * (1 + std::fabs(want[i].score)), what + " score");
    for (size_t t = 0; t < want[i].tokenLogProbs.size(); ++t)
      if (!std::isnan(want[i].tokenLogProbs[t]))
        checkClose(got[i].tokenLogProbs[t], want[i].tokenLogProbs[t], 1e-5 * (1 + std::fabs(want[i].tokenLogProbs[t])),
                   what + " log-probability");
  }
}

// A batch of rows of several searches, chosen together.
struct Batch {
  std::vector<std::unique_ptr<decode::Search>> searches;
  std::vector<float> logits;
  int64_t vocab;
};

Batch makeBatch(Random& random, int64_t vocab, int count) {
  Batch batch;
  batch.vocab = vocab;
  for (int s = 0; s < count; ++s) {
    decode::Options options = makeOptions(random, vocab);
    const std::vector<int32_t> prompt(1, static_cast<int32_t>(random.below(vocab)));
    batch.searches.push_back(decode::makeSearch(options, prompt));
    const std::vector<float> row = makeLogits(random, vocab, kKinds[random.below(std::size(kKinds))]);
    batch.logits.insert(batch.logits.end(), row.begin(), row.end());
  }
  return batch;
}

// Of beams only up to the rounding of the log-sum-exp (exact: to the bit), by which close candidates may change places.
bool sameChoices(std::span<const TokenChoice> a, std::span<const TokenChoice> b, bool exact) {
  const bool beams = a.size() > 1;
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if ((exact || !beams) && (a[i].token != b[i].token || a[i].row != b[i].row)) return false;
    if ((a[i].token < 0) != (b[i].token < 0)) return false;
    const double tolerance = exact || !beams ? 0 : 1e-5 * (1 + std::fabs(b[i].score));
    if (a[i].token >= 0 && !isClose(a[i].score, b[i].score, tolerance)) return false;
  }
  return true;
}

}  // namespace

VED_TEST(select_keys_and_targets) {
  const float ordered[] = {kInf, 3e38f, 2.5f, 1e-40f, 0.0f, -1e-40f, -1.0f, -3e38f, -kInf};
  for (size_t i = 0; i + 1 < std::size(ordered); ++i) {
    CHECK(descendingKey(ordered[i]) < descendingKey(ordered[i + 1]));
    CHECK_EQ(scoreOfKey(descendingKey(ordered[i])), ordered[i]);
  }
  CHECK_EQ(descendingKey(-0.0f), descendingKey(0.0f));
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t a = random.next(), b = random.next();
    // high word by long multiplication in base 2^16
    uint64_t digits[8] = {};
    for (int x = 0; x < 4; ++x) {
      uint64_t carry = 0;
      for (int y = 0; y < 4; ++y) {
        const uint64_t t = digits[x + y] + (a >> 16 * x & 0xffff) * (b >> 16 * y & 0xffff) + carry;
        digits[x + y] = t & 0xffff, carry = t >> 16;
      }
      digits[x + 4] += carry;
    }
    CHECK_EQ(multiplyHigh(a, b), digits[7] << 48 | digits[6] << 32 | digits[5] << 16 | digits[4]);
    const uint64_t total = 1 + (b >> 2), uniform = a >> 11;
    const double want = static_cast<double>(uniform) * 0x1p-53 * static_cast<double>(total);
    CHECK(drawTarget(uniform, total) < total);
    checkClose(static_cast<double>(drawTarget(uniform, total)), want, 1 + 1e-15 * want, "target");
  }
}

VED_TEST(select_weights_are_exponentials) {
  CHECK_EQ(scaleBits(50257), 46);
  CHECK_EQ(scaleBits(1), 61);
  Random random(2);
  for (const int scale : {30, 46, 61}) {
    CHECK_EQ(weightBelow(0.0f, scale), uint64_t{1} << scale);
    CHECK_EQ(weightBelow(kNan, scale), uint64_t{0});
    CHECK_EQ(weightBelow(-kInf, scale), uint64_t{0});
    for (int i = 0; i < 20000; ++i) {
      const float below = -random.uniform(0.0f, 46.0f);
      const double want = std::ldexp(std::exp(static_cast<double>(below)), scale);
      CHECK(weightBelow(below, scale) <= uint64_t{1} << scale);
      checkClose(static_cast<double>(weightBelow(below, scale)), below > -44.0f ? want : 0, 1 + 2.5e-7 * want,
                 "weight");
    }
  }
  for (int i = 0; i < 2000; ++i) {
    const float max = random.uniform(-50.0f, 50.0f);
    const double below = std::log(random.uniform());
    const float limit = minPLimit(max, below);
    CHECK(static_cast<double>(limit) - max >= below);
    CHECK(static_cast<double>(std::nextafter(limit, -kInf)) - max < below);
  }
}

VED_TEST(select_equals_the_searches_of_the_host) {
  const auto reference = makeReferenceBackend();
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    Random random(seed);
    const int64_t vocab = 1 + random.below(seed % 8 ? 40 : 700);
    compareSearches(*reference, random, vocab, kKinds[seed % std::size(kKinds)], "seed " + std::to_string(seed));
  }
}

VED_TEST(select_equals_the_searches_of_the_host_on_every_backend) {
  for (const auto& backend : selectingBackends(700))
    for (uint64_t seed = 0; seed < 120; ++seed) {
      Random random(seed);
      const int64_t vocab = 1 + random.below(seed % 8 ? 40 : 700);
      compareSearches(*backend, random, vocab, kKinds[seed % std::size(kKinds)],
                      backend->name() + " seed " + std::to_string(seed));
    }
}

// Picks and draws equal to the reference's; everything the same bits alone and in any batch.
VED_TEST(select_equals_reference) {
  const auto reference = makeReferenceBackend();
  for (const int64_t vocab : {1, 2, 31, 33, 97, 511, 513, 4099}) {
    for (uint64_t seed = 0; seed < (vocab < 1000 ? 4u : 1u); ++seed) {
      Random random(seed * 7919 + static_cast<uint64_t>(vocab));
      Batch batch = makeBatch(random, vocab, 9);
      engine::Selection want, got, alone;
      for (auto& search : batch.searches) CHECK(want.add(*search));
      want.run(*reference, batch.logits.data(), vocab);
      for (const auto& backend : selectingBackends(vocab)) {
        got.clear();
        for (auto& search : batch.searches) got.add(*search);
        got.run(*backend, batch.logits.data(), vocab);
        for (size_t s = 0; s < batch.searches.size(); ++s) {
          const std::string what = backend->name() + " vocab " + std::to_string(vocab) + " search " + std::to_string(s);
          if (!CHECK(sameChoices(got.choices(s), want.choices(s), false))) fail(__FILE__, __LINE__, what);
          alone.clear();
          alone.add(*batch.searches[s]);
          alone.run(*backend, batch.logits.data() + static_cast<int64_t>(s) * vocab, vocab);
          if (!CHECK(sameChoices(alone.choices(0), got.choices(s), true))) fail(__FILE__, __LINE__, what + " alone");
        }
      }
    }
  }
}

// Ten thousand draws from five tokens, three of which top-k and top-p leave.
VED_TEST(select_draws_follow_the_distribution) {
  const auto reference = makeReferenceBackend();
  const std::vector<float> logits = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f};
  decode::Options options;
  options.maxLength = 2;
  options.doSample = true;
  options.topK = 4;
  options.topP = 0.9f;
  options.seed = 5;
  constexpr int kDraws = 10000;
  int counts[5] = {};
  engine::Selection selection;
  for (int i = 0; i < kDraws; ++i) {
    options.sequenceIndex = static_cast<uint64_t>(i);
    const auto search = decode::makeSearch(options, {0});
    selection.clear();
    selection.add(*search);
    selection.run(*reference, logits.data(), 5);
    ++counts[selection.choices(0)[0].token];
  }
  CHECK_EQ(counts[0], 0);
  CHECK_EQ(counts[2], 0);
  double sum = 0, chi = 0;
  for (const int t : {1, 3, 4}) sum += std::exp(logits[static_cast<size_t>(t)]);
  for (const int t : {1, 3, 4}) {
    const double expected = kDraws * std::exp(logits[static_cast<size_t>(t)]) / sum;
    chi += (counts[t] - expected) * (counts[t] - expected) / expected;
  }
  CHECK(chi < 13.8);  // 2 degrees of freedom, p = 0.001
}

VED_TEST(select_leaves_user_code_to_the_host) {
  const auto rulesOf = [](auto change) {
    decode::Options options;
    options.maxLength = 4;
    change(options);
    return decode::makeRules(options);
  };
  CHECK(!rulesOf([](decode::Options&) {}).empty());
  CHECK(rulesOf([](decode::Options& o) { o.outputScores = true; }).empty());
  CHECK(rulesOf([](decode::Options& o) { o.userProcessor = [](const auto&, float*, int32_t, int32_t) {}; }).empty());
  CHECK(rulesOf([](decode::Options& o) {
          o.userCriterion = [](const auto&, const float*, int32_t, int32_t) { return false; };
        }).empty());
  CHECK(rulesOf([](decode::Options& o) {
          o.prefixAllowed = [](int32_t, const auto&) { return std::vector<int32_t>{1}; };
        }).empty());
  CHECK(rulesOf([](decode::Options& o) { o.numBeams = 3, o.doSample = true; }).empty());
  CHECK(rulesOf([](decode::Options& o) { o.numBeams = 257; }).empty());
  CHECK(rulesOf([](decode::Options& o) { o.doSample = true, o.typicalP = 0.5f; }).empty());
  CHECK(!rulesOf([](decode::Options& o) { o.typicalP = 0.5f; }).empty());  // greedy search has no warpers
}
