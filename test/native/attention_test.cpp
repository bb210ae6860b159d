#include <cmath>
#include <limits>

#include "op_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

// Scores: headDim products of factors <= 2 in magnitude, off by headDim eps 4 headDim scale; an error d of a score
// moves a weight by a factor e^d; the mix adds its own tokens eps. Values are <= 2.
double tolerance(int64_t headDim, int64_t length, float scale) {
  const double h = static_cast<double>(headDim);
  return 4.0 * kEps * (std::sqrt(h) * 4.0 * h * std::fabs(scale) + 8.0 + std::sqrt(static_cast<double>(length)) * 4.0);
}

// Rounding moves a score by 2 roundoffs of sqrt(headDim) products of random sign, and the weights and values by one
// each.
double tolerance16(ComputeType type, int64_t headDim, float scale) {
  const double eps = type == ComputeType::Float16 ? kF16Eps : kBf16Eps;
  return 4.0 * eps * (std::sqrt(static_cast<double>(headDim)) * 4.0 * std::fabs(scale) + 4.0);
}

void checkEncoder(Backend& backend, int64_t batch, int64_t tokens, int64_t heads, int64_t headDim, uint64_t seed,
                  ComputeType type = ComputeType::Float32, int64_t units = 1, int64_t pool = 1) {
  Random random(seed);
  const int64_t width = heads * headDim;
  Guarded qkv(static_cast<size_t>(batch * tokens * 3 * width), random, 2.0f);
  Guarded out(static_cast<size_t>(batch * tokens / pool * width));
  std::vector<float> want(out.size());
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  EncoderAttentionArgs a{qkv.data(), want.data(), batch, tokens, heads, headDim, scale, nullptr, type, units, pool};
  makeReferenceBackend()->encoderAttention(a);
  a.out = out.data();
  backend.encoderAttention(a);
  const std::string what = backend.name() + " encoder T " + std::to_string(tokens) + " D " + std::to_string(headDim) +
                           " " + computeTypeName(type);
  const double tol =
      type == ComputeType::Float32 ? tolerance(headDim, tokens, scale) : tolerance16(type, headDim, scale);
  for (size_t i = 0; i < want.size(); ++i)
    if (!checkClose(out[i], want[i], tol, what)) return;
  CHECK(out.intact());
}

struct CachedCase {
  int64_t tokens, heads, headDim, capacity;
  bool self, masked, probabilities;
  uint64_t seed;
  CacheType cache = CacheType::Float32;
};

std::vector<uint16_t> rounded(const Guarded& values, CacheType type) {
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = bits16(values[i], type);
  return bits;
}

// Everything a cached attention reads, with NaN wherever it must not look.
struct CachedData {
  explicit CachedData(const CachedCase& c)
      : random(c.seed),
        slotCount(5),
        width(c.heads * c.headDim),
        q(static_cast<size_t>(c.tokens * (width + 3)), random, 2.0f),
        keys(static_cast<size_t>(slotCount * c.heads * c.capacity * c.headDim), random, 2.0f),
        values(keys.size(), random, 2.0f),
        slots(static_cast<size_t>(slotCount * c.capacity)) {
    for (int32_t& s : slots) s = static_cast<int32_t>(random.below(slotCount));
    masks.resize(static_cast<size_t>(c.tokens));
    for (int64_t t = 0; t < c.tokens; ++t) {
      slotOfToken.push_back(static_cast<int32_t>(random.below(slotCount)));
      lengthOfToken.push_back(static_cast<int32_t>(t == 0 ? c.capacity : 1 + random.below(c.capacity)));
      auto& mask = masks[static_cast<size_t>(t)];
      for (int64_t p = 0; p < c.capacity; ++p) mask.push_back(random.below(3) != 0);
      if (t == 1) std::fill(mask.begin(), mask.end(), uint8_t{0});  // nothing visible at all
      maskOfToken.push_back(t % 3 == 2 ? nullptr : mask.data());
    }
    args = {q.data(),
            width + 3,
            keys.data(),
            values.data(),
            c.capacity,
            nullptr,
            width,
            c.tokens,
            c.heads,
            c.headDim,
            1.0f / std::sqrt(static_cast<float>(c.headDim)),
            slotOfToken.data(),
            lengthOfToken.data(),
            c.self ? slots.data() : nullptr,
            c.masked ? maskOfToken.data() : nullptr,
            nullptr,
            c.cache};
    if (c.cache == CacheType::Float32) return;
    keys16 = rounded(keys, c.cache), values16 = rounded(values, c.cache);
    args.keys = keys16.data(), args.values = values16.data();
  }
  Random random;
  int64_t slotCount, width;
  Guarded q, keys, values;
  std::vector<uint16_t> keys16, values16;
  std::vector<int32_t> slots, slotOfToken, lengthOfToken;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<const uint8_t*> maskOfToken;
  CachedAttentionArgs args;
};

void checkCached(Backend& backend, const CachedCase& c) {
  CachedData d(c);
  const size_t n = static_cast<size_t>(c.tokens * d.width), np = static_cast<size_t>(c.tokens * c.heads * c.capacity);
  std::vector<float> want(n), wantP(np);
  Guarded out(static_cast<size_t>(c.tokens * (d.width + 1))), p(np);
  CachedAttentionArgs a = d.args;
  a.out = want.data();
  if (c.probabilities) a.probabilities = wantP.data();
  makeReferenceBackend()->cachedAttention(a);
  a.out = out.data(), a.ldo = d.width + 1;
  if (c.probabilities) a.probabilities = p.data();
  backend.cachedAttention(a);
  const std::string what = backend.name() + " cached D " + std::to_string(c.headDim) + " C " +
                           std::to_string(c.capacity) +
                           (c.cache == CacheType::Float32    ? ""
                            : c.cache == CacheType::BFloat16 ? " bfloat16"
                                                             : " float16");
  const double tol = tolerance(c.headDim, c.capacity, a.scale);
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t i = 0; i < d.width; ++i)
      if (!checkClose(out[t * a.ldo + i], want[t * d.width + i], tol, what)) return;
    CHECK(out.untouched(static_cast<size_t>(t * a.ldo + d.width)));
  }
  for (size_t i = 0; c.probabilities && i < np; ++i)
    if (!checkClose(p[i], wantP[i], tol, what + " probabilities")) return;
  CHECK(out.intact());
  CHECK(p.intact());
}

// Two sequences that run together, of 1 and of tokens - 1 tokens.
void checkNgram(Backend& backend, const CachedCase& c, int64_t streams, int64_t buckets) {
  CachedData d(c);
  const int64_t rows = (1 + streams) * c.tokens;
  Guarded qkv(static_cast<size_t>(rows * 3 * d.width), d.random, 2.0f);
  Guarded relative(static_cast<size_t>(rows * buckets * c.heads), d.random, 2.0f);
  std::vector<int32_t> bucketOf, first(static_cast<size_t>(c.tokens), 1), run(first.size());
  for (int64_t p = 0; p < c.capacity + 2; ++p) bucketOf.push_back(static_cast<int32_t>(std::min(p, buckets - 1)));
  std::fill(run.begin(), run.end(), static_cast<int32_t>(c.tokens - 1));
  first[0] = 0, run[0] = 1;
  NgramAttentionArgs a{d.args,     relative.data(), bucketOf.data(), first.data(),
                       run.data(), streams,         buckets,         c.capacity + 2};
  a.main.q = qkv.data(), a.main.ldq = 3 * d.width;
  std::vector<float> want(static_cast<size_t>(rows * d.width));
  Guarded out(want.size());
  a.main.out = want.data();
  makeReferenceBackend()->ngramAttention(a);
  a.main.out = out.data();
  backend.ngramAttention(a);
  const double tol = 2 * tolerance(c.headDim, c.capacity + 1, a.main.scale);
  const std::string what =
      backend.name() + " ngram D " + std::to_string(c.headDim) + " C " + std::to_string(c.capacity);
  for (size_t i = 0; i < want.size(); ++i)
    if (!checkClose(out[i], want[i], tol, what)) return;
  CHECK(out.intact());
}

}  // namespace

VED_TEST(encoder_attention_every_size) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (const ComputeType type : target.types) {
      for (int64_t i = 1; i <= 70; ++i) {
        checkEncoder(*backend, 1, i, 2, 20, static_cast<uint64_t>(i), type);
        checkEncoder(*backend, 2, 9, 3, i, 100u + static_cast<uint64_t>(i), type);
      }
      checkEncoder(*backend, 1, 197, 3, 64, 7, type);
      checkEncoder(*backend, 1, 577, 1, 80, 8, type);
      for (const int64_t headDim : {96, 120, 128, 144}) checkEncoder(*backend, 2, 130, 1, headDim, 9, type);
    }
  }
}

VED_TEST(encoder_attention_of_units_and_pooled_queries) {
  for (const auto& [target, type] : targetsAndTypes()) {
    const auto backend = target.make(2);
    uint64_t seed = 1;
    for (const int64_t units : {1, 2, 5})
      for (const int64_t pool : {1, 2, 4})
        for (const int64_t perUnit : {1, 3, 9, 17}) {
          const int64_t tokens = units * pool * perUnit;
          for (const int64_t headDim : {1, 7, 16, 33})
            checkEncoder(*backend, 2, tokens, 3, headDim, seed++, type, units, pool);
        }
  }
}

// A unit is an image of its own; a pooled query is one that holds the largest values.
VED_TEST(encoder_attention_units_by_hand) {
  const auto backend = makeReferenceBackend();
  const int64_t units = 2, tokens = 8, width = 3;
  Random random(4);
  std::vector<float> qkv(tokens * 3 * width), one(4 * 3 * width), got(4 * width), whole(4 * width);
  random.fill(qkv.data(), qkv.size());
  backend->encoderAttention(
      {qkv.data(), got.data(), 1, tokens, 1, width, 0.7f, nullptr, ComputeType::Float32, units, 2});
  for (int64_t unit = 0; unit < units; ++unit) {
    for (int64_t t = 0; t < 4; ++t) {
      std::copy_n(&qkv[(t * units + unit) * 3 * width], 3 * width, &one[t * 3 * width]);
      for (int64_t d = 0; t >= 2 && d < width; ++d)
        one[(t - 2) * 3 * width + d] = std::max(one[(t - 2) * 3 * width + d], one[t * 3 * width + d]);
    }
    backend->encoderAttention({one.data(), whole.data(), 1, 4, 1, width, 0.7f});
    for (int64_t t = 0; t < 2; ++t) CHECK(sameBits(&got[(t * units + unit) * width], &whole[t * width], width));
  }
}

VED_TEST(cached_attention_every_size) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (const CacheType cache : target.caches()) {
      for (int64_t i = 1; i <= 70; ++i) {
        const auto seed = static_cast<uint64_t>(i);
        checkCached(*backend, {5, 2, 12, i, (i & 1) != 0, (i & 2) != 0, (i & 4) != 0, seed, cache});
        checkCached(*backend, {4, 3, i, 13, (i & 1) == 0, (i & 4) != 0, (i & 2) != 0, 100 + seed, cache});
      }
      checkCached(*backend, {6, 12, 64, 1030, true, false, true, 7, cache});
      checkCached(*backend, {6, 12, 64, 577, false, true, false, 8, cache});
    }
  }
}

// What a mask hides may be anything, and counts exactly nothing.
VED_TEST(cached_attention_ignores_hidden_garbage) {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(makeReferenceBackend());
  for (const Target& target : targets()) backends.push_back(target.make(2));
  for (const auto& backend : backends) {
    Random random(4);
    const int64_t capacity = 21, headDim = 19;
    std::vector<float> q(headDim), keys(capacity * headDim), values(keys.size()), out(headDim), p(capacity),
        again(headDim);
    for (auto* v : {&q, &keys, &values}) random.fill(v->data(), v->size());
    std::vector<uint8_t> mask(capacity, 1);
    mask[0] = mask[7] = mask[17] = 0;
    const uint8_t* maskOfToken[] = {mask.data()};
    const int32_t slot = 0, length = 18;
    CachedAttentionArgs a{q.data(), headDim, keys.data(), values.data(), capacity, out.data(), headDim,     1,
                          1,        headDim, 0.3f,        &slot,         &length,  nullptr,    maskOfToken, p.data()};
    backend->cachedAttention(a);
    for (int64_t d = 0; d < headDim; ++d)
      for (int64_t position : {0, 7, 17, 18, 20})
        keys[position * headDim + d] = values[position * headDim + d] = std::numeric_limits<float>::quiet_NaN();
    a.out = again.data();
    backend->cachedAttention(a);
    CHECK(sameBits(out.data(), again.data(), out.size()));
    for (int64_t position : {0, 7, 17, 18, 19, 20}) CHECK_EQ(p[position], 0.0f);
  }
}

VED_TEST(attention_nan_is_not_hidden) {
  for (const auto& [target, type] : targetsAndTypes()) {
    const auto backend = target.make(2);
    Random random(6);
    const int64_t tokens = 23, width = 2 * 18;
    std::vector<float> qkv(tokens * 3 * width), out(tokens * width);
    random.fill(qkv.data(), qkv.size());
    qkv[11 * 3 * width + 5] = std::numeric_limits<float>::quiet_NaN();  // a query: only its own row and head
    backend->encoderAttention({qkv.data(), out.data(), 1, tokens, 2, 18, 0.2f, nullptr, type});
    for (int64_t i = 0; i < tokens * width; ++i) CHECK(std::isnan(out[i]) == (i / width == 11 && i % width < 18));
  }
}

VED_TEST(attention_bits_do_not_depend_on_batch_or_threads) {
  for (const auto& [target, type] : targetsAndTypes()) {
    Random random(21);
    const int64_t batch = 3, tokens = 83, heads = 2, headDim = 40, image = tokens * heads * headDim;
    std::vector<float> qkv(batch * 3 * image), got(batch * image), want;
    random.fill(qkv.data(), qkv.size());
    const CachedCase c{
        9, 3, 40, 700, true, true, false, 5, type == ComputeType::Int8 ? CacheType::BFloat16 : operandElement(type)};
    CachedData d(c);
    std::vector<float> cached(static_cast<size_t>(c.tokens * d.width)), wantCached;
    for (const int threads : {1, 2, 4}) {
      const auto backend = target.make(threads);
      EncoderAttentionArgs a{qkv.data(), got.data(), batch, tokens, heads, headDim, 0.16f, nullptr, type};
      backend->encoderAttention(a);
      CachedAttentionArgs k = d.args;
      k.out = cached.data();
      backend->cachedAttention(k);
      if (threads == 1) want = got, wantCached = cached;
      CHECK(sameBits(got.data(), want.data(), got.size()));
      CHECK(sameBits(cached.data(), wantCached.data(), cached.size()));
      a.batch = 1, a.qkv = qkv.data() + 2 * 3 * image;
      backend->encoderAttention(a);
      CHECK(sameBits(got.data(), want.data() + 2 * image, static_cast<size_t>(image)));
      k.tokens = 1, k.q += 4 * k.ldq, k.slotOfToken += 4, k.lengthOfToken += 4, k.maskOfToken += 4;
      backend->cachedAttention(k);
      CHECK(sameBits(cached.data(), wantCached.data() + 4 * d.width, static_cast<size_t>(d.width)));
    }
  }
}

VED_TEST(write_cache_equals_reference) {
  for (const Target& target : targets())
    for (int64_t headDim = 1; headDim <= 33; ++headDim) {
      Random random(static_cast<uint64_t>(headDim));
      const int64_t tokens = 4, heads = 3, capacity = 6, width = heads * headDim;
      Guarded kv(static_cast<size_t>(tokens * (2 * width + 1)), random);
      const size_t n = static_cast<size_t>(5 * heads * capacity * headDim);
      Guarded keys(n), values(n), wantKeys(n), wantValues(n);
      const int32_t slot[] = {4, 0, 2, 2}, position[] = {5, 0, 3, 4};
      WriteCacheArgs a{kv.data(),   kv.data() + width, 2 * width + 1, 2 * width + 1,
                       keys.data(), values.data(),     capacity,      tokens,
                       heads,       headDim,           slot,          position};
      target.make(1)->writeCache(a);
      a.keys = wantKeys.data(), a.values = wantValues.data();
      makeReferenceBackend()->writeCache(a);
      CHECK(sameBits(keys.data(), wantKeys.data(), n));
      CHECK(sameBits(values.data(), wantValues.data(), n));
      CHECK(keys.intact() && values.intact());

      for (const CacheType cache : target.caches()) {
        if (cache == CacheType::Float32) continue;
        std::vector<uint16_t> narrow(n), wantNarrow(n), other(n);
        a.cacheType = cache;
        a.keys = wantNarrow.data(), a.values = other.data();
        makeReferenceBackend()->writeCache(a);
        a.keys = narrow.data();
        target.make(1)->writeCache(a);
        CHECK(narrow == wantNarrow);
      }
    }
}

VED_TEST(ngram_attention_every_size) {
  for (const Target& target : targets()) {
    const auto backend = target.make(2);
    for (const CacheType cache : target.caches())
      for (int64_t i = 1; i <= 40; ++i) {
        const auto seed = static_cast<uint64_t>(i);
        checkNgram(*backend, {5, 2, 12, i, (i & 1) != 0, (i & 2) != 0, false, seed, cache}, 1 + i % 3, 1 + i % 7);
        checkNgram(*backend, {4, 3, i, 13, (i & 1) == 0, (i & 4) != 0, false, 100 + seed, cache}, 2, 5);
      }
  }
}

// One head of width 1, two tokens of one sequence, one stream; all scores come from `relative`.
VED_TEST(ngram_attention_by_hand) {
  const std::vector<float> keys = {0, 0}, values = {1, 2};
  std::vector<float> qkv = {0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 8};  // the stream's own values are 4 and 8
  const float big = 100;
  // row, bucket: the second main token looks back, the stream's first token to its own key, its second one ahead of
  // that
  const std::vector<float> relative = {0, 0, 0, 0, big, 0, big, 0, 0, 0, big, 0};
  const int32_t slots[] = {0, 0}, rows[] = {0, 0}, lengths[] = {1, 2}, buckets[] = {0, 1, 2, 2}, first[] = {0, 0};
  const int32_t run[] = {2, 2};
  std::vector<float> out(4);
  NgramAttentionArgs a{};
  a.main = {qkv.data(), 3, keys.data(), values.data(), 2, out.data(), 1, 2, 1, 1, 1.0f, rows, lengths, slots};
  a.relative = relative.data(), a.bucketOfDistance = buckets, a.firstOfRun = first, a.lengthOfRun = run;
  a.streams = 1, a.buckets = 3, a.distances = 4;
  makeReferenceBackend()->ngramAttention(a);
  CHECK(out == std::vector<float>({1, 1, 4, 2}));
}

// Two heads, one stream, a run of two tokens: rows of heads (0 0), (0 1), (1 0), (1 1) by (head, token) are read as
// (token, head).
VED_TEST(relative_source_order) {
  NgramAttentionArgs a{};
  a.main.heads = 2, a.main.tokens = 3, a.streams = 1;
  const int32_t first[] = {0, 1, 1}, run[] = {1, 2, 2};
  a.firstOfRun = first, a.lengthOfRun = run;
  const auto is = [&](int64_t s, int64_t t, int64_t h, int64_t row, int64_t head) {
    const RelativeSource source = relativeSource(a, s, t, h);
    return source.row == row && source.head == head;
  };
  CHECK(is(-1, 2, 1, 2, 1));                      // the main stream reads its own
  CHECK(is(0, 0, 0, 3, 0) && is(0, 0, 1, 3, 1));  // so does a run of one token
  CHECK(is(0, 1, 0, 4, 0) && is(0, 2, 0, 4, 1) && is(0, 1, 1, 5, 0) && is(0, 2, 1, 5, 1));
}
