// Searches and processors against transformers (test/golden/decode, written by tools/golden/decode.py), beam search
// against exhaustive enumeration, sampling against its distribution.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>

#include "decode/processors/processor.h"
#include "decode/search.h"
#include "engine/selection.h"
#include "op_support.h"

using namespace ved::decode;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

ved::ops::RowSummary summarize(const std::vector<float>& row) {
  const auto best = std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float x : row) sum += std::exp(static_cast<double>(x) - *best);
  return {static_cast<int32_t>(best - row.begin()), *best, static_cast<float>(*best + std::log(sum))};
}

// Logits are a table of the last two ids.
struct Table {
  int32_t vocab = 0;
  std::vector<std::vector<float>> rows;
  const std::vector<float>& of(const Ids& ids) const {
    const int32_t before = ids.size() > 1 ? ids[ids.size() - 2] : 0;
    return rows[static_cast<size_t>(before * vocab + ids.back())];
  }
};

// The rows after a step: each its parent's ids and the token chosen.
std::vector<Ids> continued(const std::vector<Ids>& rows, const Step& step) {
  std::vector<Ids> next;
  for (size_t i = 0; i < step.tokens.size(); ++i) {
    next.push_back(rows[static_cast<size_t>(step.parents[i])]);
    next.back().push_back(step.tokens[i]);
  }
  return next;
}

void runSearch(Search& search, const Table& table, const Ids& prompt) {
  std::vector<Ids> rows{prompt};
  for (int guard = 0; guard < 1000 && search.liveRows() > 0; ++guard) {
    CHECK_EQ(search.liveRows(), static_cast<int32_t>(rows.size()));
    std::vector<float> logits;
    std::vector<ved::ops::RowSummary> summaries;
    for (const Ids& ids : rows) {
      const std::vector<float>& row = table.of(ids);
      logits.insert(logits.end(), row.begin(), row.end());
      summaries.push_back(summarize(row));
    }
    const Step step = search.advance(logits.data(), table.vocab, table.vocab, summaries.data());
    if (step.done) return;
    rows = continued(rows, step);
  }
  CHECK(search.liveRows() == 0);
}

// The same by what a backend chooses: nothing but the choices reaches the search. False where only the host can do it.
bool runSelected(Search& search, ved::ops::Backend& backend, const Table& table, const Ids& prompt) {
  if (search.rules().empty()) return false;
  std::vector<Ids> rows{prompt};
  ved::engine::Selection selection;
  for (int guard = 0; guard < 1000 && search.liveRows() > 0; ++guard) {
    std::vector<float> logits;
    for (const Ids& ids : rows) logits.insert(logits.end(), table.of(ids).begin(), table.of(ids).end());
    selection.clear();
    CHECK(selection.add(search));
    selection.run(backend, logits.data(), table.vocab);
    const Step step = search.advance(selection.choices(0));
    if (step.done) return true;
    rows = continued(rows, step);
  }
  CHECK(search.liveRows() == 0);
  return true;
}

template <class T>
std::vector<T> listOf(std::istringstream& in) {
  std::vector<T> list;
  std::string word;
  while (in >> word) list.push_back(static_cast<T>(std::strtod(word.c_str(), nullptr)));
  return list;
}

struct Golden {
  std::string name;
  Options options;
  Ids prompt;
  std::vector<Ids> sequences, sources;
  std::vector<float> sequenceScores;
  std::vector<std::vector<float>> scores;
  std::vector<float> in, out;
};

void readOption(Options& o, const std::string& key, std::istringstream& in) {
  const std::string text = in.str();
  if (key == "bad_words_ids") {
    std::string words = text.substr(text.find(' ') + 1), word;
    std::istringstream all(words);
    while (std::getline(all, word, '|')) {
      std::istringstream one(word);
      o.badWordsIds.push_back(listOf<int32_t>(one));
    }
    return;
  }
  if (key == "bias") {
    SequenceBias entry;
    in >> entry.bias;
    entry.ids = listOf<int32_t>(in);
    o.sequenceBias.push_back(entry);
    return;
  }
  if (key == "early_stopping") {
    std::string value;
    in >> value;
    o.earlyStopping = value == "never" ? EarlyStopping::Never
                      : value == "1"   ? EarlyStopping::True
                                       : EarlyStopping::False;
    return;
  }
  const std::vector<double> values = listOf<double>(in);
  const double v = values.at(0);
  const auto i = static_cast<int32_t>(v);
  const auto f = static_cast<float>(v);
  const Ids ids(values.begin(), values.end());
  if (key == "max_length")
    o.maxLength = i;
  else if (key == "num_beams")
    o.numBeams = i;
  else if (key == "num_return_sequences")
    o.numReturnSequences = i;
  else if (key == "eos_token_id")
    o.eosTokenIds = ids;
  else if (key == "length_penalty")
    o.lengthPenalty = f;
  else if (key == "repetition_penalty")
    o.repetitionPenalty = f;
  else if (key == "no_repeat_ngram_size")
    o.noRepeatNgramSize = i;
  else if (key == "min_length")
    o.minLength = i;
  else if (key == "min_new_tokens")
    o.minNewTokens = i;
  else if (key == "forced_bos_token_id")
    o.forcedBosTokenId = i;
  else if (key == "forced_eos_token_id")
    o.forcedEosTokenIds = ids;
  else if (key == "exponential_decay_length_penalty")
    o.hasExponentialDecay = true, o.decayStart = i, o.decayFactor = static_cast<float>(values.at(1));
  else if (key == "suppress_tokens")
    o.suppressTokens = ids;
  else if (key == "begin_suppress_tokens")
    o.beginSuppressTokens = ids;
  else if (key == "renormalize_logits")
    o.renormalizeLogits = i != 0;
  else if (key == "remove_invalid_values")
    o.removeInvalidValues = i != 0;
  else if (key == "prompt_length")
    o.promptLength = i;
  else if (key == "do_sample")
    o.doSample = i != 0;
  else if (key == "temperature")
    o.temperature = f;
  else if (key == "top_h")
    o.topH = f, o.hasTopH = true;
  else if (key == "top_k")
    o.topK = i;
  else if (key == "top_p")
    o.topP = f;
  else if (key == "min_p")
    o.minP = f, o.hasMinP = true;
  else if (key == "typical_p")
    o.typicalP = f;
  else if (key == "epsilon_cutoff")
    o.epsilonCutoff = f;
  else if (key == "eta_cutoff")
    o.etaCutoff = f;
  else
    CHECK_EQ(key, std::string("a known option"));
}

std::vector<Golden> readGolden(const std::string& file, Table& table) {
  std::ifstream in(std::string(VED_SOURCE_DIR) + "/test/golden/decode/" + file);
  CHECK(in.good());
  std::vector<Golden> cases;
  Golden current;
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "vocab")
      words >> table.vocab;
    else if (key == "table")
      table.rows.push_back(listOf<float>(words));
    else if (key == "case")
      current = Golden{}, words >> current.name;
    else if (key == "prompt")
      current.prompt = listOf<int32_t>(words);
    else if (key == "sequence") {
      float score;
      words >> score;
      current.sequenceScores.push_back(score);
      current.sequences.push_back(listOf<int32_t>(words));
    } else if (key == "sources")
      current.sources.push_back(listOf<int32_t>(words));
    else if (key == "scores")
      current.scores.push_back(listOf<float>(words));
    else if (key == "in")
      current.in = listOf<float>(words);
    else if (key == "out")
      current.out = listOf<float>(words);
    else if (key == "end")
      cases.push_back(current);
    else
      readOption(current.options, key, words);
  }
  return cases;
}

void checkRow(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
  CHECK_EQ(got.size(), want.size());
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i)
    checkClose(got[i], want[i], 2e-5 * (1 + std::fabs(want[i])), what + " score " + std::to_string(i));
}

}  // namespace

VED_TEST(decode_searches_equal_transformers) {
  Table table;
  const std::vector<Golden> cases = readGolden("search.txt", table);
  CHECK(cases.size() > 100);
  for (const Golden& golden : cases) {
    Options options = golden.options;
    options.promptLength = static_cast<int32_t>(golden.prompt.size());
    // As option resolution does: new tokens win over the total.
    if (options.minNewTokens > 0) options.minLength = options.promptLength + options.minNewTokens;
    options.outputScores = !golden.scores.empty();
    const auto search = makeSearch(options, golden.prompt);
    runSearch(*search, table, golden.prompt);
    const std::vector<Sequence> got = search->take();
    CHECK_EQ(got.size(), golden.sequences.size());
    for (size_t i = 0; i < std::min(got.size(), golden.sequences.size()); ++i) {
      if (!CHECK_EQ(got[i].ids, golden.sequences[i])) ved::test::fail(__FILE__, __LINE__, golden.name);
      CHECK_EQ(got[i].tokenLogProbs.size() + golden.prompt.size(), got[i].ids.size());
      const float want = golden.sequenceScores[i];
      if (options.numBeams > 1) checkClose(got[i].score, want, 1e-5 * (1 + std::fabs(want)), golden.name);
      if (options.numBeams > 1) CHECK_EQ(got[i].beamIndices, golden.sources[i]);
    }
    const auto scores = search->takeScores();
    for (size_t s = 0; s < golden.scores.size(); ++s) checkRow(scores.at(s), golden.scores[s], golden.name);
  }
}

VED_TEST(decode_selected_searches_equal_transformers) {
  Table table;
  const std::vector<Golden> cases = readGolden("search.txt", table);
  std::vector<std::unique_ptr<ved::ops::Backend>> backends;
  backends.push_back(ved::ops::makeReferenceBackend());
  for (const ved::test::Target& target : ved::test::targets())
    if (auto backend = target.make(1); backend->selects(table.vocab)) backends.push_back(std::move(backend));
  for (const auto& backend : backends) {
    int done = 0;
    for (const Golden& golden : cases) {
      Options options = golden.options;
      options.promptLength = static_cast<int32_t>(golden.prompt.size());
      if (options.minNewTokens > 0) options.minLength = options.promptLength + options.minNewTokens;
      const auto search = makeSearch(options, golden.prompt);
      if (!runSelected(*search, *backend, table, golden.prompt)) continue;
      ++done;
      const std::vector<Sequence> got = search->take();
      CHECK_EQ(got.size(), golden.sequences.size());
      for (size_t i = 0; i < std::min(got.size(), golden.sequences.size()); ++i) {
        if (!CHECK_EQ(got[i].ids, golden.sequences[i]))
          ved::test::fail(__FILE__, __LINE__, backend->name() + " " + golden.name);
        const float want = golden.sequenceScores[i];
        if (options.numBeams > 1) checkClose(got[i].score, want, 1e-5 * (1 + std::fabs(want)), golden.name);
        if (options.numBeams > 1) CHECK_EQ(got[i].beamIndices, golden.sources[i]);
      }
    }
    CHECK(done > 100);
  }
}

VED_TEST(decode_processors_equal_transformers) {
  Table table;
  const std::vector<Golden> cases = readGolden("processors.txt", table);
  CHECK(cases.size() > 100);
  for (const Golden& golden : cases) {
    std::vector<float> scores = golden.in;
    const Ids* const ids = &golden.prompt;
    const Rows rows{scores.data(), static_cast<int32_t>(scores.size()), {&ids, 1}};
    Options options = golden.options;
    if (options.minNewTokens > 0) options.minLength = options.promptLength + options.minNewTokens;
    for (const ProcessorPtr& processor : makeProcessors(options)) processor->apply(rows);
    checkRow(scores, golden.out, golden.name);
  }
}

// With as many beams as there are sequences nothing is pruned: the best one is the best of all.
VED_TEST(decode_beam_search_finds_the_optimum) {
  ved::test::Random random(7);
  for (int trial = 0; trial < 20; ++trial) {
    Table table{4, {}};
    table.rows.assign(16, std::vector<float>(4));
    for (auto& row : table.rows) random.fill(row.data(), row.size(), 2.f);
    Options options;
    options.maxLength = 4;
    options.numBeams = 64;
    options.lengthPenalty = 0;
    options.earlyStopping = EarlyStopping::Never;
    options.eosTokenIds = {3};
    const auto search = makeSearch(options, {1});
    runSearch(*search, table, {1});
    double best = -1e30;
    Ids bestIds;
    for (int code = 0; code < 64; ++code) {
      Ids ids{1};
      double score = 0;
      for (int place = 0, rest = code; place < 3 && (place == 0 || ids.back() != 3); ++place, rest /= 4) {
        const std::vector<float>& row = table.of(ids);
        score += row[static_cast<size_t>(rest % 4)] - summarize(row).logSumExp;
        ids.push_back(rest % 4);
      }
      if (score > best) best = score, bestIds = ids;
    }
    const Sequence got = search->take().at(0);
    CHECK_EQ(got.ids, bestIds);
    checkClose(got.score, best, 1e-5, "best score");
  }
}

VED_TEST(decode_sampling_follows_the_distribution) {
  Table table{6, std::vector<std::vector<float>>(36, {0.f, 1.f, -1.f, 2.f, 0.5f, -kInf})};
  Options options;
  options.maxLength = 2;
  options.doSample = true;
  options.seed = 99;
  constexpr int kDraws = 20000;
  std::vector<int> counts(6);
  for (int i = 0; i < kDraws; ++i) {
    options.sequenceIndex = static_cast<uint64_t>(i);
    const auto search = makeSearch(options, {0});
    runSearch(*search, table, {0});
    ++counts[static_cast<size_t>(search->take().at(0).ids[1])];
  }
  double chi = 0;
  for (size_t t = 0; t < 5; ++t) {
    const double expected = kDraws * std::exp(table.rows[0][t] - summarize(table.rows[0]).logSumExp);
    chi += (counts[t] - expected) * (counts[t] - expected) / expected;
  }
  CHECK_EQ(counts[5], 0);
  CHECK(chi < 18.5);  // 4 degrees of freedom, p = 0.001
}

VED_TEST(decode_survives_nan_and_full_masks) {
  for (int beams : {1, 3}) {
    for (bool sample : {false, true}) {
      Options options;
      options.maxLength = 5;
      options.numBeams = beams;
      options.doSample = sample;
      options.eosTokenIds = {1};
      const auto search = makeSearch(options, {0});
      for (int step = 0; step < 10 && search->liveRows() > 0; ++step) {
        std::vector<float> logits(static_cast<size_t>(search->liveRows()) * 8, std::nanf(""));
        std::vector<ved::ops::RowSummary> summaries(static_cast<size_t>(search->liveRows()),
                                                    {-1, std::nanf(""), std::nanf("")});
        search->advance(logits.data(), 8, 8, summaries.data());
      }
      CHECK_EQ(search->liveRows(), 0);
      CHECK_EQ(search->take().size(), size_t{1});
    }
  }
}

VED_TEST(decode_stop_strings_end_in_the_last_token) {
  Table table{4, std::vector<std::vector<float>>(16, {0.f, 1.f, 2.f, 3.f})};
  for (auto& row : table.rows) row = {-9.f, -9.f, -9.f, -9.f};
  for (int a = 0; a < 4; ++a)
    for (int b = 0; b < 4; ++b) table.rows[static_cast<size_t>(a * 4 + b)][static_cast<size_t>((b + 1) % 4)] = 5.f;
  Options options;
  options.maxLength = 12;
  options.stopStrings = {"cde"};
  options.tokenText = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"a", "bc", "d", "ef"});
  const auto search = makeSearch(options, {0});
  runSearch(*search, table, {0});
  const Sequence got = search->take().at(0);
  CHECK_EQ(got.ids, (Ids{0, 1, 2, 3}));
  CHECK(got.finish == FinishReason::StopString);
}
