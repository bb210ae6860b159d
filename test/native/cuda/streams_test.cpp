// Encoder runs beside decode steps, on the emulator. Each stream is let run as far ahead of the other as its waits
// allow, and each wait is shown to be needed: without it results are wrong.
#include "engine/worker.h"
#include "op_support.h"
#include "ops/cuda/cuda_backend.h"
#include "plan/micro_batch.h"
#include "tiny_model.h"
#include "variable.h"

using namespace ved;
using namespace ved::engine;
using namespace ved::test;

namespace {

constexpr int64_t kVocab = 19, kPositions = 24, kPixels = TinyModel::kSide * TinyModel::kSide;
constexpr int32_t kMaxBatch = 6, kRounds = 200;

struct Asked {
  std::shared_ptr<GenerateRequest> request = std::make_shared<GenerateRequest>();
  GenerateResult result;
  bool done = false, failed = false;
  int64_t events = 0;
  int32_t firstEvent = -1, lastEvent = -1;  // the rounds
};

class Machine {
 public:
  Machine() : tiny_(kVocab, kPositions, 11) {
    if (!emulatedCuda().api) SKIP("the emulator is built on Linux only");
    const cuda::Api& api = *emulatedCuda().api;
    auto backend = std::make_unique<cuda::CudaBackend>(api, 0, std::vector<std::string>{}, cuda::Products::Own);
    model_ = std::make_unique<Model>(
        tiny_.spec, tiny_.table, LoadOptions{}, [] { return true; }, std::move(backend));
    worker_ = std::make_unique<Engine::Worker>(*model_, kMaxBatch, stop_);
  }
  bool overlaps() const { return model_->overlaps(); }
  Engine::Worker& worker() { return *worker_; }
  Model& model() { return *model_; }

  void submit(Asked& call, int64_t images, int32_t beams, int32_t length, uint64_t seed) {
    Random random(seed);
    std::vector<float> pixels(static_cast<size_t>(images * kPixels));
    random.fill(pixels.data(), pixels.size(), 2.0f);
    GenerateRequest& r = *call.request;
    r.pixels = {std::move(pixels), images, 1, TinyModel::kSide, TinyModel::kSide};
    r.prompts.assign(static_cast<size_t>(images), {static_cast<int32_t>(seed % kVocab)});
    r.options.numBeams = beams;
    r.options.maxLength = length;
    r.onToken = [this, &call](const TokenEvent&) {
      ++call.events;
      if (call.firstEvent < 0) call.firstEvent = round_;
      call.lastEvent = round_;
    };
    r.onDone = [&call](GenerateResult result) { call.result = std::move(result), call.done = true; };
    r.onError = [&call](std::exception_ptr) { call.failed = true; };
    worker_->submit(call.request);
  }
  void round() {
    try {
      worker_->round();
    } catch (...) {
      worker_->failAll(std::current_exception());
    }
    ++round_;
  }
  void finish() {
    while (!worker_->idle() && CHECK(round_ < kRounds)) round();
  }
  void stop() {
    stop_ = true;
    worker_->failAll(std::make_exception_ptr(Error(ErrorKind::Internal, "ABORTED", "stopped")));
    worker_.reset();
    stop_ = false;
    worker_ = std::make_unique<Engine::Worker>(*model_, kMaxBatch, stop_);
  }
  int32_t rounds() const { return round_; }

 private:
  TinyModel tiny_;
  std::unique_ptr<Model> model_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<Engine::Worker> worker_;
  int32_t round_ = 0;
};

using Calls = std::vector<std::unique_ptr<Asked>>;

// Calls that come one after another while others are decoded, more images than there are rows.
Calls traffic() {
  Machine machine;
  Calls calls;
  for (uint64_t i = 0; i < 6; ++i) {
    calls.push_back(std::make_unique<Asked>());
    machine.submit(*calls.back(), 1 + static_cast<int64_t>(i % 3), i % 3 == 1 ? 2 : 1, 9 + static_cast<int32_t>(i), i);
    for (uint64_t round = 0; round < i % 3; ++round) machine.round();
  }
  machine.finish();
  return calls;
}

bool sameBitsOf(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && sameBits(a.data(), b.data(), a.size());
}

bool sameResults(const Calls& a, const Calls& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i]->done || !b[i]->done) return false;
    for (size_t s = 0; s < a[i]->result.sequences.size(); ++s) {
      const decode::Sequence &x = a[i]->result.sequences[s], &y = b[i]->result.sequences[s];
      if (x.ids != y.ids || !sameBitsOf(x.tokenLogProbs, y.tokenLogProbs)) return false;
    }
  }
  return true;
}

Calls oneStream() {
  const Variable one("VED_CUDA_STREAMS", "1");
  return traffic();
}

}  // namespace

VED_TEST(streams_give_what_one_stream_gives) {
  const Calls want = oneStream();
  for (const auto& call : want) CHECK(call->done);
  CHECK(sameResults(traffic(), want));
  for (const char* lazy : {"1", "urgent", "beside"}) {
    const Variable order("VED_EMU_LAZY", lazy);
    if (!CHECK(sameResults(traffic(), want))) fail(__FILE__, __LINE__, lazy);
  }
}

VED_TEST(streams_need_the_wait_for_the_encoder) {
  const Calls want = oneStream();
  const Variable order("VED_EMU_LAZY", "beside"), deaf("VED_EMU_DEAF", "host");
  CHECK(!sameResults(traffic(), want));
}

VED_TEST(streams_need_the_wait_for_what_was_launched_before) {
  const Calls want = oneStream();
  const Variable order("VED_EMU_LAZY", "urgent"), deaf("VED_EMU_DEAF", "stream");
  CHECK(!sameResults(traffic(), want));
}

// A run of two images goes on beside the steps of the first call, which get on meanwhile; it joins the number of steps
// later that shapes say.
VED_TEST(streams_decode_beside_the_encoder) {
  const Variable single("VED_NO_RUN_AHEAD", "1");  // steps in flight would be taken first
  for (const bool one : {false, true}) {
    const Variable streams("VED_CUDA_STREAMS", one ? "1" : "2");
    Machine machine;
    CHECK_EQ(machine.overlaps(), !one);
    Asked first, second;
    machine.submit(first, 1, 1, 20, 3);
    while (first.events < 2 && machine.rounds() < kRounds) machine.round();
    const int32_t came = machine.rounds();
    machine.submit(second, 2, 1, 12, 4);
    machine.finish();
    const int64_t steps = machine.model().stepsBeside(TinyModel::kSide, TinyModel::kSide, 2, 1);
    CHECK(steps >= 1);
    CHECK_EQ(second.firstEvent - came, one ? 0 : 1 + static_cast<int32_t>(steps));  // the round it came in is another
    CHECK(first.done && second.done && first.lastEvent > second.firstEvent);
  }
}

// Cancelled or stopped while its images are encoded: the slots are not given away before the run is over.
VED_TEST(streams_are_drained) {
  const Variable order("VED_EMU_LAZY", "1");
  Machine machine;
  Asked alone;
  machine.submit(alone, 2, 1, 14, 5);
  machine.finish();
  for (const bool stopped : {false, true})
    for (int32_t after = 0; after < 4; ++after) {
      Asked first, broken, next;
      machine.submit(first, 1, 1, 20, 3);
      for (int32_t i = 0; i < 3; ++i) machine.round();
      machine.submit(broken, 4, 1, 20, 6);
      for (int32_t i = 0; i < after; ++i) machine.round();
      if (stopped) machine.stop();
      broken.request->cancelled = true;
      if (!stopped) machine.round();
      CHECK(broken.failed);
      machine.submit(next, 2, 1, 14, 5);
      machine.finish();
      CHECK(first.done != stopped && next.done);
      for (size_t s = 0; s < 2 && next.done; ++s) {
        CHECK(next.result.sequences[s].ids == alone.result.sequences[s].ids);
        CHECK(sameBitsOf(next.result.sequences[s].tokenLogProbs, alone.result.sequences[s].tokenLogProbs));
      }
    }
}

VED_TEST(streams_steps_of_an_encoder_run) {
  const std::vector<plan::ImageProduct> products = {{100, 64, 64}};  // 409,600 multiplications
  CHECK_EQ(plan::stepsBeside(products, 10, 8192, false), 100);
  CHECK_EQ(plan::stepsBeside(products, 10, 8192, true), 7);
  CHECK_EQ(plan::stepsBeside(products, 1, 1e9, true), 1);
  CHECK_EQ(plan::stepsBeside(products, 1000, 1, true), plan::kMostStepsBeside);
}
