#include "plan/lower.h"

namespace ved::plan {
namespace {

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
    push(OpKind::Linear, in, out).weight = &weight;
    if (weight.hasBias) push(OpKind::AddBias, out, out).weight = &weight;
    if (activation != Activation::Identity) push(OpKind::Activate, out, out).activation = activation;
    return out;
  }

  void norm(int in, int out, const NormWeights& norm) { push(OpKind::LayerNorm, in, out).norm = &norm; }
  void add(int x, int branch) { push(OpKind::Add, branch, x); }
  void tap(int value) { push(OpKind::Tap, value, -1); }
};

// One residual branch in either norm position. `branch` maps the branch's input value to its output value.
template <typename Branch>
void residual(Builder& b, int x, spec::NormPosition position, const NormWeights& norm, Branch branch) {
  if (position == spec::NormPosition::Pre) {
    const int y = b.value("normed", b.program.values[static_cast<size_t>(x)].width);
    b.norm(x, y, norm);
    b.add(x, branch(y));
  } else {
    b.add(x, branch(x));
    b.norm(x, x, norm);
  }
}

template <typename Attention>
void setHeads(Op& op, const Attention& attention, int layer) {
  op.heads = attention.heads;
  op.headDim = attention.headDim;
  op.scale = static_cast<float>(attention.scale);
  op.layer = layer;
}

int mlp(Builder& b, int in, const spec::Mlp& spec, const MlpWeights& weights) {
  return b.linear("mlp.down", b.linear("mlp.up", in, *weights.up, spec.activation), *weights.down);
}

void encoderLayer(Builder& b, int x, const spec::EncoderSpec& encoder, size_t index, const EncoderLayerWeights& w) {
  const spec::EncoderLayer& layer = encoder.layers[index];
  residual(b, x, encoder.normPosition, w.attentionNorm, [&](int in) {
    const int qkv = b.linear("qkv", in, *w.attention.qkv);
    const int context = b.value("context", layer.attention.heads * layer.attention.headDim);
    setHeads(b.push(OpKind::EncoderAttention, qkv, context), layer.attention, static_cast<int>(index));
    return b.linear("attention.out", context, *w.attention.output);
  });
  residual(b, x, encoder.normPosition, w.mlpNorm, [&](int in) { return mlp(b, in, layer.mlp, w.mlp); });
}

void decoderLayer(Builder& b, int x, const spec::DecoderSpec& decoder, size_t index, const DecoderLayerWeights& w) {
  const spec::DecoderLayer& layer = decoder.layers[index];
  const int number = static_cast<int>(index);
  residual(b, x, decoder.normPosition, w.selfNorm, [&](int in) {
    const int qkv = b.linear("qkv", in, *w.selfAttention.qkv);
    setHeads(b.push(OpKind::WriteSelfCache, qkv, -1), layer.selfAttention, number);
    const int context = b.value("context", layer.selfAttention.heads * layer.selfAttention.headDim);
    setHeads(b.push(OpKind::SelfAttention, qkv, context), layer.selfAttention, number);
    return b.linear("self.out", context, *w.selfAttention.output);
  });
  residual(b, x, decoder.normPosition, w.crossNorm, [&](int in) {
    const int query = b.linear("cross.query", in, *w.crossAttention.query);
    const int context = b.value("cross.context", layer.crossAttention.heads * layer.crossAttention.headDim);
    setHeads(b.push(OpKind::CrossAttention, query, context), layer.crossAttention, number);
    return b.linear("cross.out", context, *w.crossAttention.output);
  });
  residual(b, x, decoder.normPosition, w.mlpNorm, [&](int in) { return mlp(b, in, layer.mlp, w.mlp); });
}

}  // namespace

Program lowerEncoder(const spec::EncoderSpec& spec, const ModelWeights& weights) {
  Builder b("encode");
  const spec::PatchEmbedding& embedding = spec.embedding;
  const int patches =
      b.value("patches", embedding.channels * embedding.patchHeight * embedding.patchWidth, RowKind::Patch);
  b.push(OpKind::Patches, -1, patches);
  const int projected =
      b.linear("patch.embedding", patches, *weights.patchProjection, Activation::Identity, RowKind::Patch);
  const int x = b.value("x", spec.hiddenSize, RowKind::Token, true);
  b.push(OpKind::AssembleTokens, projected, x);
  b.tap(x);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    encoderLayer(b, x, spec, i, weights.encoderLayers[i]);
    b.tap(x);
  }
  if (weights.encoderFinalNorm) b.norm(x, x, *weights.encoderFinalNorm);
  b.program.output = x;
  return std::move(b.program);
}

Program lowerCross(const spec::ModelSpec& spec, const ModelWeights& weights) {
  Builder b("cross");
  int states = b.value("states", spec.encoder.hiddenSize, RowKind::Token, true);
  b.program.input = states;
  if (weights.projection) states = b.linear("projected", states, *weights.projection);
  for (size_t i = 0; i < spec.decoder.layers.size(); ++i) {
    const int kv = b.linear("kv", states, *weights.decoderLayers[i].crossAttention.kv);
    setHeads(b.push(OpKind::WriteCrossCache, kv, -1), spec.decoder.layers[i].crossAttention, static_cast<int>(i));
  }
  return std::move(b.program);
}

Program lowerDecoder(const spec::DecoderSpec& spec, const ModelWeights& weights) {
  Builder b("decode");
  const int x = b.value("x", spec.hiddenSize, RowKind::Token, true);
  b.push(OpKind::EmbedTokens, -1, x);
  if (weights.embeddingNorm) b.norm(x, x, *weights.embeddingNorm);
  b.tap(x);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    decoderLayer(b, x, spec, i, weights.decoderLayers[i]);
    // HF replaces the last entry of a decoder's hidden states by the state after the final norm
    if (i + 1 < spec.layers.size()) b.tap(x);
  }
  if (weights.decoderFinalNorm) b.norm(x, x, *weights.decoderFinalNorm);
  b.tap(x);
  b.program.output = x;
  return std::move(b.program);
}

}  // namespace ved::plan
