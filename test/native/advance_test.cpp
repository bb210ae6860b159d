// The rows of the next step where the choices lie: against the searches of the host, which choose for themselves what
// to go on with, and every backend against the reference.
#include "ops/advance.h"

#include "decode/rules.h"
#include "engine/run_ahead.h"
#include "search_support.h"

using namespace ved;
using namespace ved::ops;
using namespace ved::test;

namespace {

constexpr int64_t kSpare = 3;  // rows behind those of the searches, which nobody owns

// The state of a batch of rows as plain arrays, in any order of lines.
struct Rows {
  std::vector<SelectRow> info;
  std::vector<SelectGroup> groups;
  std::vector<int32_t> rules, ids, token, positionId, position, length, row, ancestry;
  std::vector<TokenChoice> choices;
  int64_t lines = 0, idCapacity = 0, ancestryLines = 0, capacity = 0;
  PositionRule positions;

  AdvanceArgs advance() {
    AdvanceArgs a{};
    a.rowInfo = info.data(), a.rows = static_cast<int64_t>(info.size());
    a.groups = groups.data(), a.groupCount = static_cast<int64_t>(groups.size());
    a.rules = rules.data(), a.ruleWords = static_cast<int64_t>(rules.size());
    a.choices = choices.data(), a.choiceCount = static_cast<int64_t>(choices.size());
    a.ids = ids.data(), a.lines = lines, a.idCapacity = idCapacity;
    a.token = token.data(), a.positionId = positionId.data(), a.position = position.data(), a.length = length.data();
    a.row = row.data(), a.ancestry = ancestry.data(), a.ancestryLines = ancestryLines, a.capacity = capacity;
    a.positions = positions;
    return a;
  }
  SelectArgs select(const std::vector<float>& logits, int64_t vocab) {
    return {logits.data(),
            vocab,
            static_cast<int64_t>(info.size()),
            vocab,
            info.data(),
            groups.data(),
            static_cast<int64_t>(groups.size()),
            rules.data(),
            static_cast<int64_t>(rules.size()),
            0,
            ids.data(),
            lines,
            idCapacity,
            choices.data(),
            static_cast<int64_t>(choices.size())};
  }
  // Room for so many rows on lines of a random order.
  void resize(Random& random, int64_t rows, int64_t length_) {
    capacity = length_, idCapacity = length_ + 1, ancestryLines = rows + 2;
    for (auto* v : {&token, &positionId, &position, &length}) v->assign(static_cast<size_t>(rows), 0);
    std::vector<int32_t> order(static_cast<size_t>(ancestryLines));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
    row.assign(order.begin(), order.begin() + rows);
    ancestry.assign(static_cast<size_t>(ancestryLines * capacity), 0);
    for (int32_t& slot : ancestry) slot = static_cast<int32_t>(random.below(ancestryLines));
    info.resize(static_cast<size_t>(rows));
    ids.assign(static_cast<size_t>(lines * idCapacity), 0);
  }
};

// A search in the batch, and what the host knows of its rows: for every position the row that wrote it.
struct Followed {
  std::unique_ptr<decode::Search> search;
  std::vector<std::vector<int32_t>> written;
  int64_t firstRow = 0;
  bool live = true;
};

// After its first step a search has all its rows, or is left out.
std::unique_ptr<decode::Search> begun(Backend& reference, Random& random, int64_t vocab) {
  decode::Options options = makeOptions(random, vocab);
  const std::vector<int32_t> prompt(1 + static_cast<size_t>(random.below(3)),
                                    static_cast<int32_t>(random.below(vocab)));
  options.promptLength = static_cast<int32_t>(prompt.size());
  if (random.below(4) == 0) {
    options.stopStrings = {"a"};
    options.tokenText = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"a", "b"});
  }
  auto search = decode::makeSearch(options, prompt);
  engine::Selection selection;
  selection.add(*search);
  selection.run(reference, makeLogits(random, vocab, Kind::Spread).data(), vocab);
  search->advance(selection.choices(0));
  return engine::RunAhead::takes(*search) ? std::move(search) : nullptr;
}

class Following {
 public:
  Following(Backend& backend, Random& random, int64_t vocab, std::string what)
      : backend_(backend), random_(random), vocab_(vocab), what_(std::move(what)) {
    const auto reference = makeReferenceBackend();
    for (int i = 0; i < 4; ++i)
      if (auto search = begun(*reference, random, vocab)) searches_.push_back({std::move(search), {}, 0, true});
    gather();
  }

  bool empty() const { return searches_.empty(); }

  // Two steps more than anybody needs: rows of ended searches must stay inside their tables.
  void run() {
    for (int beyond = 0; beyond < 2 && state().failures.empty();) {
      step();
      const auto live = [](const Followed& f) { return f.live; };
      if (std::none_of(searches_.begin(), searches_.end(), live)) ++beyond;
    }
  }

 private:
  void gather() {
    for (Followed& f : searches_) selection_.add(*f.search);
    rows_.lines = static_cast<int64_t>(selection_.histories().size());
    rows_.resize(random_, static_cast<int64_t>(selection_.rows().size()) + kSpare, 24);
    const auto pad = static_cast<int32_t>(random_.below(vocab_));
    rows_.positions = random_.below(2) ? PositionRule{2, -1} : PositionRule{pad + 1, pad};
    std::copy(selection_.rows().begin(), selection_.rows().end(), rows_.info.begin());
    rows_.groups.assign(selection_.groups().begin(), selection_.groups().end());
    if (!rows_.groups.empty()) rows_.groups.resize(rows_.groups.size() + 2, SelectGroup{0, 0, 0, 0});
    rows_.rules.assign(selection_.words().begin(), selection_.words().end());
    rows_.choices.resize(static_cast<size_t>(selection_.choiceCount()));
    for (size_t line = 0; line < selection_.histories().size(); ++line)
      std::copy(selection_.histories()[line]->begin(), selection_.histories()[line]->end(),
                rows_.ids.begin() + static_cast<int64_t>(line) * rows_.idCapacity);
    int64_t r = 0;
    for (Followed& f : searches_) {
      f.firstRow = r;
      for (int32_t i = 0; i < f.search->liveRows(); ++i, ++r) place(f, i, r);
    }
    for (const SelectRow& info : selection_.rows()) {
      const SelectRules rules = rulesAt(rows_.rules.data() + info.rules);
      demand_.edited |= mayEdit(rules, info.length);
      demand_.best |= rules.pick == Pick::Best;
      demand_.drawn |= rules.pick == Pick::Draw;
      if (rules.pick == Pick::Beams) demand_.maxKeep = std::max<int64_t>(demand_.maxKeep, rules.keep);
    }
  }

  // A row as the host stages it: its last id is fed at the position behind the others.
  void place(Followed& f, int32_t i, int64_t r) {
    const auto at = static_cast<size_t>(r);
    const std::vector<int32_t>& ids = f.search->liveRow(i).ids;
    const auto position = static_cast<int32_t>(ids.size()) - 1;
    rows_.token[at] = ids.back();
    rows_.position[at] = position;
    rows_.length[at] = position + 1;
    rows_.positionId[at] = positionIdOf(rows_.positions, ids.back(), position);
    int32_t* line = rows_.ancestry.data() + rows_.row[at] * rows_.capacity;
    line[position] = rows_.row[at];
    f.written.push_back({line, line + position + 1});
  }

  void step() {
    std::vector<float> logits;
    for (size_t r = 0; r < rows_.info.size(); ++r) {
      const std::vector<float> one = makeLogits(random_, vocab_, random_.below(3) ? Kind::Spread : Kind::Masked);
      logits.insert(logits.end(), one.begin(), one.end());
    }
    backend_.selectInPlace(rows_.select(logits, vocab_), demand_);
    backend_.advanceRows(rows_.advance());
    for (size_t s = 0; s < searches_.size(); ++s)
      if (searches_[s].live) follow(searches_[s], s);
    for (const SelectRow& info : rows_.info)
      if (info.rules >= 0) CHECK(info.length < rulesAt(rows_.rules.data() + info.rules).maxLength);
  }

  void follow(Followed& f, size_t number) {
    const engine::Selection::Range range = selection_.range(number);
    const std::span<const TokenChoice> choices{rows_.choices.data() + range.first, static_cast<size_t>(range.count)};
    const int32_t rows = f.search->maxRows();
    const decode::Step step = f.search->advance(choices);
    f.live = !step.done && engine::foreseen(f.search->rules(), choices, step, rows);
    if (!f.live) return;
    const std::vector<std::vector<int32_t>> before = f.written;
    for (int32_t i = 0; i < rows; ++i) {
      const auto r = static_cast<size_t>(f.firstRow + i);
      f.written[static_cast<size_t>(i)] = before[static_cast<size_t>(step.parents[static_cast<size_t>(i)])];
      f.written[static_cast<size_t>(i)].push_back(rows_.row[r]);
      if (!same(f, i, r)) fail(__FILE__, __LINE__, what_ + " row " + std::to_string(r));
    }
  }

  bool same(const Followed& f, int32_t i, size_t r) {
    const decode::LiveRow live = f.search->liveRow(i);
    const SelectRow& info = rows_.info[r];
    const auto length = static_cast<int32_t>(live.ids.size());
    const std::vector<int32_t>& written = f.written[static_cast<size_t>(i)];
    const int32_t* line = rows_.ancestry.data() + rows_.row[r] * rows_.capacity;
    bool ok =
        CHECK_EQ(rows_.token[r], live.ids.back()) & CHECK_EQ(rows_.position[r], length - 1) &
        CHECK_EQ(rows_.length[r], length) & CHECK_EQ(info.length, length) & CHECK_EQ(info.step, live.step) &
        CHECK_EQ(floatBits(info.base), floatBits(live.score)) &
        CHECK_EQ(rows_.positionId[r],
                 live.ids.back() == rows_.positions.pad ? rows_.positions.pad : length - 1 + rows_.positions.first) &
        CHECK(std::equal(written.begin(), written.end(), line));
    if (readsIds(rulesAt(rows_.rules.data() + info.rules)))
      ok &= CHECK(std::equal(live.ids.begin(), live.ids.end(), rows_.ids.begin() + info.line * rows_.idCapacity));
    return ok;
  }

  Backend& backend_;
  Random& random_;
  int64_t vocab_;
  std::string what_;
  std::vector<Followed> searches_;
  engine::Selection selection_;
  Rows rows_;
  SelectDemand demand_;
};

void followSearches(Backend& backend, uint64_t seeds) {
  uint64_t done = 0;
  for (uint64_t seed = 0; done < seeds; ++seed) {
    Random random(seed);
    Following following(backend, random, 4 + random.below(30), backend.name() + " seed " + std::to_string(seed));
    if (following.empty()) continue;
    following.run();
    ++done;
  }
}

// One beam search in the middle of its rows, with lines that are moved in several pieces.
Rows manyBeams(Random& random, int32_t beams, int64_t capacity) {
  decode::Options options;
  options.numBeams = beams;
  options.maxLength = static_cast<int32_t>(capacity);
  options.repetitionPenalty = 1.5f;
  options.eosTokenIds = {0, 1};
  Rows rows;
  rows.rules = decode::makeRules(options);
  const int32_t keep = rulesAt(rows.rules.data()).keep, length = 1 + static_cast<int32_t>(random.below(capacity - 2));
  rows.lines = beams;
  rows.resize(random, beams + kSpare, capacity);
  for (int32_t& id : rows.ids) id = static_cast<int32_t>(random.below(100));
  rows.groups = {{1, beams, keep, 0}};
  for (int32_t i = 0; i < beams; ++i) {
    SelectRow& info = rows.info[static_cast<size_t>(1 + i)];
    info.rules = 0, info.line = beams - 1 - i, info.length = length, info.step = 7;
    rows.position[static_cast<size_t>(1 + i)] = length - 1;
    rows.length[static_cast<size_t>(1 + i)] = length;
  }
  for (int32_t c = 0; c < keep; ++c)
    rows.choices.push_back({random.uniform(-9.0f, 0.0f), 0, static_cast<int32_t>(random.below(beams)),
                            static_cast<int32_t>(random.below(8))});
  if (random.below(2))
    for (int64_t c = random.below(keep); c < keep; ++c) rows.choices[static_cast<size_t>(c)].token = -1;
  return rows;
}

bool equalRows(const Rows& a, const Rows& b) {
  return std::memcmp(a.info.data(), b.info.data(), a.info.size() * sizeof a.info[0]) == 0 && a.ids == b.ids &&
         a.token == b.token && a.positionId == b.positionId && a.position == b.position && a.length == b.length &&
         a.ancestry == b.ancestry;
}

}  // namespace

VED_TEST(advance_follows_the_searches_of_the_host) { followSearches(*makeReferenceBackend(), 400); }

VED_TEST(advance_follows_the_searches_of_the_host_on_every_backend) {
  for (const auto& backend : selectingBackends(40)) followSearches(*backend, 12);
}

VED_TEST(advance_equals_reference) {
  const auto reference = makeReferenceBackend();
  for (const auto& backend : selectingBackends(40))
    for (uint64_t seed = 0; seed < 12; ++seed) {
      Random random(seed);
      constexpr int32_t kBeams[] = {2, 3, 33, 170};
      Rows want = manyBeams(random, kBeams[seed % std::size(kBeams)], 20 + random.below(150));
      Rows got = want;
      const Rows before = want;
      reference->advanceRows(want.advance());
      backend->advanceRows(got.advance());
      if (!CHECK(equalRows(got, want))) fail(__FILE__, __LINE__, backend->name() + " seed " + std::to_string(seed));
      CHECK(!equalRows(before, want));
    }
}
