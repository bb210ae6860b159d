// What storeOperands() puts into 16 bits, and where it copies.
#include "harness.h"
#include "plan/program.h"

using namespace ved;
using namespace ved::plan;

namespace {

class FakeWeight final : public ops::LinearWeight {
 public:
  explicit FakeWeight(ComputeType kind) { in = out = 8, type = kind; }
  size_t bytes() const override { return 0; }
  void setBlock(int64_t, int64_t, int64_t, int64_t, const float*, int64_t, int64_t) override {}
  void setBias(int64_t, int64_t, const float*) override {}
};

struct Model {
  Program program;
  FakeWeight narrow{ComputeType::BFloat16}, wide{ComputeType::Float32};

  int value(bool external = false) {
    Value v;
    v.name = "v", v.width = 8, v.external = external;
    program.values.push_back(v);
    return static_cast<int>(program.values.size()) - 1;
  }
  Op& op(OpKind kind, int in, int out) {
    Op op;
    op.kind = kind, op.in = in, op.out = out, op.weight = kind == OpKind::Linear ? &narrow : nullptr;
    program.ops.push_back(op);
    return program.ops.back();
  }
  void linear(int in, int out, int residual = -1) { op(OpKind::Linear, in, out).residual = residual; }
  Element element(int v) const { return program.values[static_cast<size_t>(v)].element; }
  const Op& at(size_t i) const { return program.ops[i]; }
  void store() { storeOperands(program, Element::BFloat16); }
};

}  // namespace

VED_TEST(operands_between_linear_maps_are_stored_rounded) {
  Model m;
  const int x = m.value(true), normed = m.value(), qkv = m.value(), context = m.value(), inner = m.value();
  m.op(OpKind::LayerNorm, x, normed);
  m.linear(normed, qkv);
  m.op(OpKind::EncoderAttention, qkv, context);
  m.linear(context, x, x);
  m.linear(normed, inner);
  m.linear(inner, x, x);
  m.store();
  for (const int v : {normed, qkv, context, inner}) CHECK(m.element(v) == Element::BFloat16);
  CHECK(m.element(x) == Element::Float32);
  CHECK_EQ(m.program.ops.size(), size_t{6});
}

// The stream after a norm is both added and multiplied: float32 with a copy, until it is written again.
VED_TEST(operands_of_a_post_norm_stream_are_copies) {
  Model m;
  const int x = m.value(true), a = m.value(), b = m.value(), c = m.value();
  m.op(OpKind::LayerNorm, x, x);
  m.linear(x, a);
  m.linear(x, b);
  m.op(OpKind::Add, a, x);  // reads a in float32, writes x
  m.linear(x, c);
  m.op(OpKind::Tap, b, -1);
  m.op(OpKind::Tap, c, -1);
  m.store();
  CHECK(m.element(x) == Element::Float32 && m.element(a) == Element::Float32 && m.element(b) == Element::Float32);
  const int copy = m.at(0).rounded;
  CHECK(copy > c && m.element(copy) == Element::BFloat16);
  CHECK_EQ(m.at(0).out, x);
  CHECK(m.at(1).in == copy && m.at(2).in == copy);
  CHECK(m.at(4).kind == OpKind::Round && m.at(4).in == x && m.at(4).out != copy);
  CHECK(m.at(5).kind == OpKind::Linear && m.at(5).in == m.at(4).out);
  place(m.program, {3});
  CHECK(m.program.values[static_cast<size_t>(copy)].offset >= 0);
}

VED_TEST(operands_of_states_are_rounded_once) {
  Model m;
  const int states = m.value(true), a = m.value(), b = m.value();
  m.program.input = states;
  m.linear(states, a);
  m.op(OpKind::WriteCrossCache, a, -1);
  m.linear(states, b);
  m.op(OpKind::WriteCrossCache, b, -1);
  m.store();
  CHECK_EQ(m.program.ops.size(), size_t{5});
  CHECK(m.at(0).kind == OpKind::Round && m.at(1).in == m.at(0).out && m.at(3).in == m.at(0).out);
  CHECK(m.element(a) == Element::Float32);  // keys and values are rounded when they are written to the cache
}

VED_TEST(operands_of_float32_maps_stay) {
  Model m;
  const int x = m.value(true), normed = m.value(), y = m.value();
  m.op(OpKind::LayerNorm, x, normed);
  m.op(OpKind::Linear, normed, y).weight = &m.wide;
  m.op(OpKind::Tap, y, -1);
  m.store();
  CHECK(m.element(normed) == Element::Float32 && m.element(y) == Element::Float32);
  CHECK(m.program.ops.size() == 3 && m.at(0).rounded < 0);
}

VED_TEST(operands_unread_results_are_dropped) {
  Model m;
  const int x = m.value(true), cells = m.value(), next = m.value(true);
  m.op(OpKind::MergeCells, x, cells);
  m.op(OpKind::LayerNorm, cells, cells);
  m.linear(cells, next);
  m.store();
  CHECK(m.at(1).out == -1 && m.at(1).rounded == m.at(2).in);
  CHECK(m.element(cells) == Element::Float32);
}
