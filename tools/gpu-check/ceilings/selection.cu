// Tokens out of logits alone, by the package's own library: the best token, draws among the 50 best that make 0.9, and the
// candidates of beam searches with four beams. Microseconds of a step's choice in a queue of many.
//   selection LIBVED_CUDA
#include <cstring>

#include "common.cuh"
#include "own.cuh"

namespace {

using namespace ved;

constexpr int64_t kVocab = 50265;
constexpr int32_t kBeams = 4;

struct Way {
  const char* name;
  ops::Pick pick;
};
constexpr Way kWays[] = {{"greedy", ops::Pick::Best}, {"draw", ops::Pick::Draw}, {"beams", ops::Pick::Beams}};

ops::SelectRules rulesOf(ops::Pick pick) {
  ops::SelectRules rules;
  rules.pick = pick;
  rules.maxLength = 1000;
  rules.words = sizeof rules / sizeof(int32_t);
  if (pick == ops::Pick::Draw) rules.topK = 50, rules.topP = 0.9;
  if (pick == ops::Pick::Beams) rules.keep = 2 * kBeams;
  return rules;
}

class Block {
 public:
  Block(cuda::CudaBackend& backend, size_t bytes) : backend_(backend), data_(backend.allocate((bytes + 3) / 4)) {}
  ~Block() { backend_.release(data_); }
  Block(const Block&) = delete;
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  void put(const void* from, size_t bytes) { backend_.upload(data_, static_cast<const float*>(from), bytes / 4); }

 private:
  cuda::CudaBackend& backend_;
  float* data_;
};

double measure(cuda::CudaBackend& backend, ops::Pick pick, int64_t rows) {
  const ops::SelectRules rules = rulesOf(pick);
  const bool beams = pick == ops::Pick::Beams;
  std::vector<ops::SelectRow> info(static_cast<size_t>(rows));
  std::vector<ops::SelectGroup> groups;
  for (int64_t r = 0; r < rows; ++r) {
    ops::SelectRow& row = info[static_cast<size_t>(r)];
    row.rules = 0, row.length = 5, row.out = static_cast<int32_t>(r), row.sequence = static_cast<uint64_t>(r);
    if (beams && r % kBeams == 0)
      groups.push_back({static_cast<int32_t>(r), kBeams, rules.keep, static_cast<int32_t>(r / kBeams * rules.keep)});
  }
  const int64_t outs = beams ? static_cast<int64_t>(groups.size()) * rules.keep : rows;
  const size_t logitBytes = static_cast<size_t>(rows * kVocab) * sizeof(float);
  Block logits(backend, logitBytes), words(backend, sizeof rules), rowInfo(backend, info.size() * sizeof info[0]),
      group(backend, groups.size() * sizeof(ops::SelectGroup) + 4),
      out(backend, static_cast<size_t>(outs) * sizeof(ops::TokenChoice));
  float first = 0;
  const auto wait = [&] { backend.download(&first, logits.as<float>(), 1); };
  wait();
  fill(logits.as<float>(), logitBytes, 7, 0x83ffffffu, 0x3c000000u);
  words.put(&rules, sizeof rules);
  rowInfo.put(info.data(), info.size() * sizeof info[0]);
  if (beams) group.put(groups.data(), groups.size() * sizeof groups[0]);
  ops::SelectArgs args{};
  args.logits = logits.as<float>(), args.ld = args.vocab = kVocab, args.rows = rows;
  args.rowInfo = rowInfo.as<ops::SelectRow>(), args.groups = group.as<ops::SelectGroup>();
  args.groupCount = static_cast<int64_t>(groups.size());
  args.rules = words.as<int32_t>(), args.ruleWords = rules.words;
  args.out = out.as<ops::TokenChoice>(), args.outCount = outs;
  ops::SelectDemand demand;
  demand.best = pick == ops::Pick::Best, demand.drawn = pick == ops::Pick::Draw, demand.maxKeep = beams ? rules.keep : 0;
  constexpr int kCalls = 50;
  return medianHostUs(2, 7, [&] {
           for (int i = 0; i < kCalls; ++i) backend.selectInPlace(args, demand);
           wait();
         }) /
         kCalls;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: selection LIBVED_CUDA\n");
    return 1;
  }
  try {
    const auto backend = openBackend(argv[1]);
    for (const Way& way : kWays)
      for (const int64_t rows : {1, 8, 64, 256}) {
        const int64_t used = way.pick == ops::Pick::Beams && rows < kBeams ? kBeams : rows;
        emit("select " + std::string(way.name) + ", " + std::to_string(used) + " rows", measure(*backend, way.pick, used), "us",
             "summary and choice of 50265 logits a row, log-probabilities included");
      }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
