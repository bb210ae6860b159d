// What lowering is written with: a program under construction and the pieces encoders and decoders share.
#pragma once
#include <string>
#include <utility>

#include "plan/lower.h"

namespace ved::plan {

class Builder {
 public:
  explicit Builder(std::string name) { program.name = std::move(name); }

  Program program;

  int value(const std::string& name, int64_t width, RowKind rows = RowKind::Token, bool external = false) {
    Value v;
    v.name = name;
    v.width = width;
    v.rows = rows;
    v.external = external;
    program.values.push_back(v);
    return static_cast<int>(program.values.size()) - 1;
  }

  int64_t widthOf(int value) const { return program.values[static_cast<size_t>(value)].width; }

  Op& push(OpKind kind, int in, int out) {
    Op op;
    op.kind = kind;
    op.in = in;
    op.out = out;
    program.ops.push_back(op);
    return program.ops.back();
  }

  int linear(const std::string& name, int in, const ops::LinearWeight& weight,
             Activation activation = Activation::Identity, RowKind rows = RowKind::Token) {
    const int out = value(name, weight.out, rows);
    linearInto(in, out, weight, activation);
    return out;
  }

  void linearInto(int in, int out, const ops::LinearWeight& weight, Activation activation = Activation::Identity) {
    push(OpKind::Linear, in, out).weight = &weight;
    if (weight.hasBias) push(OpKind::AddBias, out, out).weight = &weight;
    if (activation != Activation::Identity) push(OpKind::Activate, out, out).activation = activation;
  }

  void norm(int in, int out, const NormWeights& norm) { push(OpKind::LayerNorm, in, out).norm = &norm; }
  void add(int x, int branch) { push(OpKind::Add, branch, x); }
  void tap(int value) { push(OpKind::Tap, value, -1); }
};

// One residual branch in either norm position. `branch` maps the branch's input value to its output value; `behind`
// changes the sum before what follows, a post-norm included.
template <typename Branch, typename Behind>
void residual(Builder& b, int x, spec::NormPosition position, const NormWeights& norm, Branch branch, Behind behind) {
  const bool pre = position == spec::NormPosition::Pre;
  const int in = pre ? b.value("normed", b.widthOf(x)) : x;
  if (pre) b.norm(x, in, norm);
  b.add(x, branch(in));
  behind();
  if (!pre) b.norm(x, x, norm);
}

template <typename Branch>
void residual(Builder& b, int x, spec::NormPosition position, const NormWeights& norm, Branch branch) {
  residual(b, x, position, norm, branch, [] {});
}

template <typename Attention>
void setHeads(Op& op, const Attention& attention, int layer) {
  op.heads = attention.heads;
  op.headDim = attention.headDim;
  op.scale = static_cast<float>(attention.scale);
  op.layer = layer;
}

inline int mlp(Builder& b, int in, const spec::Mlp& spec, const MlpWeights& weights) {
  return b.linear("mlp.down", b.linear("mlp.up", in, *weights.up, spec.activation), *weights.down);
}

}  // namespace ved::plan
