// ved_instructions CASE: one deterministic piece of work, for callgrind to count the instructions of ved_measured().
// ved_instructions list: the cases this build and processor have.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor_table.h"
#include "decode/search.h"
#include "ops/backend.h"
#include "plan/program.h"

namespace {

using namespace ved;

using Work = std::function<void()>;
// Prepares a case; what it gives is counted.
using Case = std::function<Work()>;

std::vector<float> randomFloats(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  uint32_t s = 12345;
  for (float& x : v) s = s * 1664525u + 1013904223u, x = static_cast<float>(s >> 8) / 16777216.0f - 0.5f;
  return v;
}

// Two tiles and a rest of rows, three panels and a rest of columns, with a fused epilogue.
Work linear(ops::CpuIsa isa, ComputeType type) {
  constexpr int64_t rows = 33, in = 192, out = 110;
  // Processors differ in what they have beyond the instruction set; the count may not.
  std::shared_ptr<ops::Backend> backend = ops::makeCpuBackend(isa, 1, ops::CpuExtensions::None);
  std::shared_ptr<ops::LinearWeight> weight = backend->makeLinear(in, out, true, type);
  weight->setBlock(0, out, 0, in, randomFloats(in * out).data(), in, 1);
  weight->seal();
  auto x = std::make_shared<std::vector<float>>(randomFloats(rows * in));
  auto y = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * out));
  return [=] {
    backend->linear({weight.get(), x->data(), in, y->data(), out, rows, true, Activation::Gelu, y->data(), out});
  };
}

Work packing(ops::CpuIsa isa, ComputeType type, bool transposed) {
  constexpr int64_t in = 192, out = 110;
  std::shared_ptr<ops::Backend> backend = ops::makeCpuBackend(isa, 1);
  std::shared_ptr<ops::LinearWeight> weight = backend->makeLinear(in, out, true, type);
  auto w = std::make_shared<std::vector<float>>(randomFloats(in * out));
  return [=] { weight->setBlock(0, out, 0, in, w->data(), transposed ? 1 : in, transposed ? out : 1); };
}

Work encoderAttention(ops::CpuIsa isa) {
  constexpr int64_t tokens = 50, heads = 2, headDim = 32, width = heads * headDim;
  std::shared_ptr<ops::Backend> backend = ops::makeCpuBackend(isa, 1);
  auto qkv = std::make_shared<std::vector<float>>(randomFloats(tokens * 3 * width));
  auto out = std::make_shared<std::vector<float>>(static_cast<size_t>(tokens * width));
  return [=] {
    backend->encoderAttention(
        {qkv->data(), out->data(), 1, tokens, heads, headDim, 0.2f, nullptr, ComputeType::Float32});
  };
}

Work rows(ops::CpuIsa isa) {
  constexpr int64_t count = 20, width = 200, vocab = 5000;
  std::shared_ptr<ops::Backend> backend = ops::makeCpuBackend(isa, 1);
  auto x = std::make_shared<std::vector<float>>(randomFloats(count * width + vocab));
  return [=] {
    std::vector<float> y(static_cast<size_t>(count * width));
    backend->layerNorm({x->data(), width, y.data(), width, count, width, x->data(), x->data(), 1e-6f});
    ops::RowSummary summary;
    backend->summarize(x->data(), vocab, 1, vocab, &summary);
  };
}

// Twelve decoder-like layers: norm, map with bias, activation and residual.
plan::Program program() {
  plan::Program p;
  p.name = "count";
  const auto value = [&](int64_t width) {
    plan::Value v;
    v.name = "v" + std::to_string(p.values.size());
    v.width = width;
    p.values.push_back(v);
    return static_cast<int>(p.values.size()) - 1;
  };
  const auto op = [&](plan::OpKind kind, int in, int out) -> plan::Op& {
    plan::Op o;
    o.kind = kind;
    o.in = in;
    o.out = out;
    p.ops.push_back(o);
    return p.ops.back();
  };
  int x = value(64);
  for (int layer = 0; layer < 12; ++layer) {
    const int normed = value(64), inner = value(256), back = value(64), sum = value(64);
    op(plan::OpKind::LayerNorm, x, normed);
    op(plan::OpKind::Linear, normed, inner);
    op(plan::OpKind::AddBias, inner, inner);
    op(plan::OpKind::Activate, inner, inner).activation = Activation::Gelu;
    op(plan::OpKind::Linear, inner, back);
    op(plan::OpKind::AddBias, back, back);
    op(plan::OpKind::Add, back, sum).residual = x;
    x = sum;
  }
  return p;
}

Work buildPlan() {
  return [] {
    plan::Program p = program();
    plan::fuse(p);
    plan::place(p, {7, 5});
    if (plan::dump(p).empty()) std::abort();
  };
}

Work checkTable() {
  auto table = std::make_shared<TensorTable>();
  table->files.push_back({"model.safetensors", 300 * 4096});
  for (int64_t i = 0; i < 300; ++i)
    table->tensors.push_back(
        {"encoder.layer." + std::to_string(i), FileRange{0, i * 4096}, 4096, DType::F32, {32, 32}});
  return [=] { table->validate(); };
}

Work readHalves(DType dtype) {
  constexpr int64_t count = 20000;
  const auto path = std::filesystem::temp_directory_path() / "ved-instructions.bin";
  std::ofstream(path, std::ios::binary).write(std::string(2 * count, '5').data(), 2 * count);
  TensorTable table;
  table.files.push_back({path.string(), 2 * count});
  table.tensors.push_back({"t", FileRange{0, 0}, 2 * count, dtype, {count}});
  auto reader = std::make_shared<TensorReader>(table);
  return [=] {
    reader->readAll(0);
    std::filesystem::remove(path);
  };
}

// 24 steps of choosing tokens; logits are made, and rows continued, outside of what a search does.
Work search(int32_t beams) {
  constexpr int32_t vocab = 500;
  decode::Options options;
  options.maxLength = 25;
  options.numBeams = beams;
  options.eosTokenIds = {1};
  std::shared_ptr<decode::Search> search = decode::makeSearch(options, {2});
  auto logits = std::make_shared<std::vector<float>>(randomFloats(beams * vocab));
  return [=] {
    for (bool done = false; !done;) {
      std::vector<float> now = *logits;
      std::vector<ops::RowSummary> summaries(static_cast<size_t>(beams));
      for (auto& summary : summaries) summary = {7, 0.5f, 6.3f};
      done = search->advance(now.data(), vocab, vocab, summaries.data()).done;
    }
  };
}

std::map<std::string, Case> cases() {
  std::map<std::string, Case> all;
  for (const ops::CpuIsa isa : {ops::CpuIsa::Scalar, ops::CpuIsa::Avx2}) {
    if (!ops::cpuIsaAvailable(isa)) continue;
    const std::string name = ops::cpuIsaName(isa);
    for (const ComputeType type : {ComputeType::Float32, ComputeType::BFloat16, ComputeType::Int8}) {
      all["linear " + name + " " + computeTypeName(type)] = [=] { return linear(isa, type); };
      all["pack " + name + " " + computeTypeName(type)] = [=] { return packing(isa, type, false); };
      all["pack transposed " + name + " " + computeTypeName(type)] = [=] { return packing(isa, type, true); };
    }
    all["encoder attention " + name] = [=] { return encoderAttention(isa); };
    all["norm and summary " + name] = [=] { return rows(isa); };
  }
  all["plan: build, fuse, place"] = buildPlan;
  all["tensor table: check"] = checkTable;
  all["tensor file: read float16"] = [] { return readHalves(DType::F16); };
  all["tensor file: read bfloat16"] = [] { return readHalves(DType::BF16); };
  all["decode: greedy steps"] = [] { return search(1); };
  all["decode: steps of four beams"] = [] { return search(4); };
  return all;
}

}  // namespace

extern "C" __attribute__((noinline)) void ved_measured(const Work& work) { work(); }

int main(int argc, char** argv) {
  const std::map<std::string, Case> all = cases();
  if (argc == 2 && !std::strcmp(argv[1], "list")) {
    for (const auto& [name, prepare] : all) std::puts(name.c_str());
    return 0;
  }
  const auto found = argc == 2 ? all.find(argv[1]) : all.end();
  if (found == all.end()) {
    std::fprintf(stderr, "usage: ved_instructions list|CASE\n");
    return 2;
  }
  ved_measured(found->second());
  return 0;
}
