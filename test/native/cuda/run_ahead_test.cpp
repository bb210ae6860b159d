// The engine ahead of its host, on the emulator: whatever comes in between, every call returns what it returns alone
// and step by step. Work of the device waits there until somebody waits for it, so that nothing can be read too early.
#include "cuda/counting_api.h"
#include "engine/worker.h"
#include "ops/cuda/cuda_backend.h"
#include "search_support.h"
#include "tiny_model.h"
#include "variable.h"

using namespace ved;
using namespace ved::engine;
using namespace ved::test;

namespace {

constexpr int64_t kVocab = 17, kPositions = 24;
constexpr int32_t kMaxBatch = 6;

struct Call {
  std::shared_ptr<GenerateRequest> request = std::make_shared<GenerateRequest>();
  GenerateResult result;
  std::vector<TokenEvent> events;
  std::exception_ptr error;
  bool done = false;
};

std::unique_ptr<Call> listening() {
  auto call = std::make_unique<Call>();
  Call* to = call.get();
  to->request->onToken = [to](const TokenEvent& event) { to->events.push_back(event); };
  to->request->onDone = [to](GenerateResult result) { to->result = std::move(result), to->done = true; };
  to->request->onError = [to](std::exception_ptr error) { to->error = error; };
  return call;
}

std::unique_ptr<Call> makeCall(Random& random, const decode::Options& options, int64_t images) {
  auto call = listening();
  GenerateRequest& r = *call->request;
  std::vector<float> pixels(static_cast<size_t>(images * TinyModel::kSide * TinyModel::kSide));
  random.fill(pixels.data(), pixels.size(), 2.0f);
  r.pixels = {std::move(pixels), images, 1, TinyModel::kSide, TinyModel::kSide};
  r.prompts.assign(static_cast<size_t>(images), {static_cast<int32_t>(random.below(kVocab))});
  r.options = options;
  return call;
}

std::unique_ptr<Call> again(const Call& call) {
  auto copy = listening();
  GenerateRequest& r = *copy->request;
  r.pixels = call.request->pixels, r.prompts = call.request->prompts, r.options = call.request->options;
  return copy;
}

bool sameFloats(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && sameBits(a.data(), b.data(), a.size());
}

bool sameResult(const Call& a, const Call& b) {
  if (!a.done || !b.done || a.result.sequences.size() != b.result.sequences.size()) return false;
  for (size_t i = 0; i < a.result.sequences.size(); ++i) {
    const decode::Sequence &x = a.result.sequences[i], &y = b.result.sequences[i];
    if (x.ids != y.ids || x.beamIndices != y.beamIndices || x.finish != y.finish || !sameBits(&x.score, &y.score, 1) ||
        !sameFloats(x.tokenLogProbs, y.tokenLogProbs))
      return false;
  }
  const auto sameEvent = [](const TokenEvent& x, const TokenEvent& y) {
    return x.row == y.row && x.token == y.token && x.finish == y.finish && sameBits(&x.logProb, &y.logProb, 1);
  };
  const auto byRow = [](std::vector<TokenEvent> events) {
    std::stable_sort(events.begin(), events.end(), [](const auto& x, const auto& y) { return x.row < y.row; });
    return events;
  };
  const std::vector<TokenEvent> x = byRow(a.events), y = byRow(b.events);
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), sameEvent);
}

const cuda::Api& emulator() {
  if (!emulatedCuda().api) SKIP("the emulator is built on Linux only");
  return *emulatedCuda().api;
}

// A model on the emulator whose device is as far behind as it can be.
class Machine {
 public:
  explicit Machine(uint64_t seed) : counting_(emulator()), tiny_(kVocab, kPositions, seed) {
    LoadOptions options;
    model_ = std::make_unique<Model>(
        tiny_.spec, tiny_.table, options, [] { return true; },
        std::make_unique<cuda::CudaBackend>(counting_.api(), 0, std::vector<std::string>{}, cuda::Products::Own));
    restart();
  }
  void restart() {
    worker_.reset();
    stop_ = false;
    worker_ = std::make_unique<Engine::Worker>(*model_, kMaxBatch, stop_);
  }
  Engine::Worker& worker() { return *worker_; }

  // As the engine's thread does it.
  void round() {
    try {
      worker_->round();
    } catch (...) {
      worker_->failAll(std::current_exception());
    }
  }
  void run(const Call& call) {
    worker_->submit(call.request);
    for (int guard = 0; guard < 1000 && !worker_->idle(); ++guard) round();
    CHECK(worker_->idle());
  }
  std::unique_ptr<Call> alone(const Call& call) {
    const Variable off("VED_NO_RUN_AHEAD", "1");
    auto copy = again(call);
    run(*copy);
    return copy;
  }
  void stop() { stop_ = true; }

 private:
  const Variable lazy_{"VED_EMU_LAZY", "1"};
  CountingApi counting_;
  TinyModel tiny_;
  std::unique_ptr<Model> model_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<Engine::Worker> worker_;
};

decode::Options greedy(int32_t maxLength, int32_t beams = 1) {
  decode::Options options;
  options.maxLength = maxLength;
  options.numBeams = beams;
  return options;
}

// A fifth of all tokens ends a row.
void addStopStrings(decode::Options& options) {
  std::vector<std::string> text;
  for (int64_t id = 0; id < kVocab; ++id) text.push_back(std::string(1, static_cast<char>('a' + id % 5)));
  options.stopStrings = {"c"};
  options.tokenText = std::make_shared<const std::vector<std::string>>(std::move(text));
}

// Calls that come, and are cancelled, at any time.
void traffic(Machine& machine, uint64_t seed) {
  Random random(seed);
  struct Planned {
    std::unique_ptr<Call> want, got;
    int64_t comes, cancelled;
  };
  std::vector<Planned> calls;
  for (int64_t n = 2 + random.below(3); n > 0; --n) {
    decode::Options options = makeOptions(random, kVocab);
    if (random.below(3) == 0) addStopStrings(options);
    if (random.below(6) == 0) options.outputScores = true;  // only the host can do it
    const auto call = makeCall(random, options, 1 + random.below(3));
    calls.push_back({machine.alone(*call), again(*call), random.below(8), random.below(4) ? 1000 : random.below(12)});
    CHECK(calls.back().want->done);
  }
  const auto last = [&] {
    return std::max_element(calls.begin(), calls.end(), [](auto& a, auto& b) { return a.comes < b.comes; })->comes;
  }();
  for (int64_t round = 0; round <= last || !machine.worker().idle(); ++round) {
    for (Planned& call : calls) {
      if (call.comes == round) machine.worker().submit(call.got->request);
      if (call.cancelled == round) call.got->request->cancelled = true;
    }
    machine.round();
    if (!CHECK(round < 500)) return;
  }
  for (const Planned& call : calls) {
    CHECK(call.got->done || (call.cancelled < 1000 && call.got->error));
    if (call.got->done && !CHECK(sameResult(*call.got, *call.want)))
      fail(__FILE__, __LINE__, "seed " + std::to_string(seed));
  }
}

std::string codeOf(const Call& call) {
  try {
    if (call.error) std::rethrow_exception(call.error);
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

}  // namespace

VED_TEST(run_ahead_returns_what_single_steps_return) {
  Machine machine(1);
  for (uint64_t seed = 0; seed < 6; ++seed) traffic(machine, seed);
  CHECK(CountingApi::calls().fetches > 20);
}

// Candidates that end by what the device knows nothing of: the host's rows are others than the device went on with.
VED_TEST(run_ahead_follows_stop_strings) {
  Machine machine(7);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Random random(seed);
    decode::Options options = greedy(14, 3);
    addStopStrings(options);
    options.lengthPenalty = 2;
    options.earlyStopping = decode::EarlyStopping::Never;
    const auto call = makeCall(random, options, 1), want = machine.alone(*call), got = again(*call);
    machine.run(*got);
    CHECK(sameResult(*got, *want));
  }
}

// The newcomer fits into the recording's rows, so that nothing but its coming ends the steps under way.
VED_TEST(run_ahead_makes_way_for_a_new_call) {
  Machine machine(6);
  Random random(3);
  const auto longer = makeCall(random, greedy(24), 3), shorter = makeCall(random, greedy(6), 1);
  machine.worker().submit(longer->request);
  for (int i = 0; i < 5; ++i) machine.round();
  machine.worker().submit(shorter->request);
  for (int i = 0; i < 10; ++i) machine.round();
  CHECK(shorter->done && !longer->done);
  while (!machine.worker().idle()) machine.round();
  CHECK(longer->done);
}

// Ten tokens more cost ten launches of one recording and ten waits for their choices, and nothing else at all.
VED_TEST(run_ahead_costs_one_launch_per_step) {
  Machine machine(2);
  for (const int32_t beams : {1, 3}) {
    const auto callsOf = [&](int32_t length) {
      Random random(5);
      const auto call = makeCall(random, greedy(length, beams), 2);
      CountingApi::calls() = {};
      machine.run(*call);
      CHECK(call->done && call->result.sequences[0].ids.size() == static_cast<size_t>(length));
      return CountingApi::calls();
    };
    for (int warm = 0; warm < 3; ++warm) callsOf(10), callsOf(20);
    const Calls few = callsOf(10), many = callsOf(20);
    CHECK_EQ(many.graphs - few.graphs, 10);
    CHECK_EQ(many.fetches - few.fetches, 10);
    CHECK_EQ(many.awaited - few.awaited, 10);
    CHECK_EQ(many.allocations, 0);
    CHECK_EQ(many.releases, 0);
    CHECK_EQ(many.ops, few.ops);
    CHECK_EQ(many.copies, few.copies);
    CHECK_EQ(many.waits, few.waits);
  }
}

VED_TEST(cuda_waits_for_runs_that_are_timed) {
  for (const char* trace : {"0", "1"}) {
    const Variable variable("VED_TRACE", trace);
    const CountingApi counting(emulator());
    cuda::CudaBackend backend(counting.api(), 0);
    const uint64_t key[] = {1};
    for (int run = 0; run < 3; ++run)
      if (!backend.replay(key)) backend.endRecording();
    CHECK_EQ(CountingApi::calls().waits, trace[0] == '1' ? 3 : 0);
  }
}

VED_TEST(run_ahead_survives_a_launch_that_fails) {
  Machine machine(3);
  Random random(7);
  const auto call = makeCall(random, greedy(16, 2), 2), want = machine.alone(*call);
  for (const int64_t launch : {0, 3, 9}) {
    const auto broken = again(*call), after = again(*call);
    machine.run(*again(*call));
    CountingApi::failAfter(launch, cuda::kFailed);
    machine.run(*broken);
    CountingApi::failAfter(-1, cuda::kOk);
    CHECK_EQ(codeOf(*broken), std::string("CUDA_ERROR"));
    machine.run(*after);
    CHECK(sameResult(*after, *want));
  }
}

VED_TEST(run_ahead_survives_a_lack_of_memory) {
  Machine machine(4);
  Random random(8);
  const auto call = makeCall(random, greedy(5, 2), 1), want = machine.alone(*call);
  int64_t failures = 0;
  for (bool failed = true; failed && failures < 100; failures += failed) {
    machine.restart();  // the caches and the state of the rows are allocated anew
    const auto broken = again(*call), after = again(*call);
    CountingApi::failAfter(failures, cuda::kOutOfMemory);
    machine.run(*broken);
    CountingApi::failAfter(-1, cuda::kOk);
    failed = broken->error != nullptr;
    if (failed) CHECK(codeOf(*broken) == "CUDA_OUT_OF_MEMORY" || codeOf(*broken) == "CACHE_TOO_LARGE");
    machine.run(*after);
    CHECK(sameResult(*after, *want));
  }
  CHECK(failures > 8);
}

// Stopped with steps under way: nothing hangs, and the backend serves whoever comes next.
VED_TEST(run_ahead_can_be_stopped) {
  Machine machine(5);
  Random random(9);
  const auto call = makeCall(random, greedy(20), 3), want = machine.alone(*call);
  for (int rounds = 1; rounds < 6; ++rounds) {
    const auto broken = again(*call), after = again(*call);
    machine.worker().submit(broken->request);
    for (int i = 0; i < rounds; ++i) machine.round();
    machine.stop();
    machine.worker().failAll(std::make_exception_ptr(Error(ErrorKind::Internal, "ABORTED", "stopped")));
    CHECK_EQ(codeOf(*broken), std::string("ABORTED"));
    machine.restart();
    machine.run(*after);
    CHECK(sameResult(*after, *want));
  }
}
